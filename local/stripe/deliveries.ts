import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import type { Events } from "../support/events";
import type { Endpoint, StripeAccount } from "./account";
import type { Switches } from "./switches";

/**
 * Delays before the retries, in milliseconds. Stripe retries for three days; the double retries sooner, for local use.
 */
const RETRY_AFTER_MS = [1_000, 5_000, 30_000, 120_000, 600_000];
const TIMEOUT_MS = 20_000;
/** Time to wait for other deliveries of the same burst. The deliveries are then reordered. */
const BURST_MS = 30;

/** Pending webhook deliveries. */
export interface Deliveries {
  /** Resolves when every due delivery has been answered or has failed. Held deliveries do not count. */
  settled(): Promise<void>;
  /** Sends the held deliveries. */
  release(): Promise<void>;
  /** Resolves after the first delivery attempt of an event to every endpoint, or after `limitMs`. */
  answered(eventId: string, limitMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Sends every event, with a signature like Stripe's, to the endpoints that existed when the event happened. Repeats a
 * failed delivery until the endpoint accepts the event, the endpoint is deleted, or no retry remains.
 */
export function startDeliveries(account: StripeAccount, switches: Switches, events: Events): Deliveries {
  const stopped = new AbortController();
  const inFlight = new Set<Promise<void>>();
  const firstTries = new Map<string, Promise<unknown>>();
  const held: (() => void)[] = [];

  function track<T>(work: Promise<T>): Promise<T> {
    const tracked: Promise<void> = work.then(
      () => {},
      () => {},
    );
    inFlight.add(tracked);
    void tracked.finally(() => inFlight.delete(tracked));
    return work;
  }

  const stop = account.onEvent((event) => {
    const audience = account.audience(event.id);
    const tries = audience.map((endpoint) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      void deliver(event, endpoint, resolve).catch(() => {});
      return promise;
    });
    firstTries.set(event.id, Promise.all(tries));
  });

  /** @param tried called after the first attempt */
  async function deliver(event: Stripe.Event, endpoint: Endpoint, tried: () => void): Promise<void> {
    if (switches.hold) await new Promise<void>((release) => held.push(release));
    const copies = switches.duplicate ? 2 : 1;
    const all = Array.from({ length: copies }, () => tryUntilTaken(event, endpoint, tried));
    await Promise.all(all);
  }

  async function tryUntilTaken(event: Stripe.Event, endpoint: Endpoint, tried: () => void): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const isTaken = await track(tryOnce(event, endpoint, attempt));
      tried();
      if (isTaken) return;
      const waitMs = RETRY_AFTER_MS[attempt];
      if (waitMs === undefined) return;
      await sleep(waitMs, undefined, { signal: stopped.signal, ref: false });
      if (!account.audience(event.id).some(({ id }) => id === endpoint.id)) return;
    }
  }

  async function tryOnce(event: Stripe.Event, endpoint: Endpoint, attempt: number): Promise<boolean> {
    const signal = stopped.signal;
    if (attempt === 0 && switches.reorder) await sleep(Math.random() * BURST_MS, undefined, { signal });
    if (switches.delayUpToMs > 0) await sleep(Math.random() * switches.delayUpToMs, undefined, { signal });
    const started = performance.now();
    const status = switches.lose ? "lost" : await post(event, endpoint);
    const durationMs = performance.now() - started;
    events.emit({ source: "stripe", summary: `${event.type} → ${status}`, durationMs });
    const isTaken = typeof status === "number" && status >= 200 && status < 300;
    if (isTaken) account.delivered(event.id, endpoint.id);
    return isTaken;
  }

  /** Sends an event once. Returns the HTTP status, or `no answer` after a network error or a timeout. */
  async function post(event: Stripe.Event, endpoint: Endpoint): Promise<number | "no answer"> {
    const payload = JSON.stringify(event, null, 2);
    const timestamp = Math.floor(Date.now() / 1000) + (switches.futureTimestamp ? 24 * 3600 : 0);
    const secret = switches.wrongSecret ? "whsec_of_somebody_else" : endpoint.secret;
    try {
      const answer = await fetch(endpoint.url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "cache-control": "no-cache",
          accept: "*/*; q=0.5, application/xml",
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
          "stripe-signature": Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
        },
        body: payload,
        redirect: "manual",
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), stopped.signal]),
      });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return "no answer";
    }
  }

  return {
    async settled() {
      // A delivery can cause a new event and therefore another delivery.
      while (inFlight.size > 0) await Promise.all(inFlight);
    },
    async release() {
      for (const release of held.splice(0)) release();
      await new Promise(setImmediate);
    },
    async answered(eventId, limitMs) {
      await Promise.race([firstTries.get(eventId), sleep(limitMs, undefined, { ref: false })]);
    },
    async close() {
      stop();
      stopped.abort();
      await Promise.all(inFlight);
    },
  };
}

import { join } from "node:path";
import { Hono } from "hono";
import type { Events } from "../support/events";
import { CutConnection, type Listening, serve } from "../support/http";
import { answerSwitches, SWITCHES_PATH } from "../support/switchesApi";
import { type CatalogueEntry, StripeAccount } from "./account";
import { stripeApi } from "./api";
import { checkoutPage } from "./checkoutPage";
import { type Deliveries, startDeliveries } from "./deliveries";
import { portalPage } from "./portalPage";
import { createSwitches, Switches } from "./switches";

/** Options of the Stripe double. */
export interface StripeOptions {
  /** 0 selects a free port. */
  port: number;
  /** Folder of the account's state. */
  dir: string;
  events: Events;
  /** API keys of the account, test mode only. */
  keys: string[];
  /** Prices that the account has at its first start. */
  catalogue: CatalogueEntry[];
  /** Milliseconds that Checkout waits for the webhook's answer before it redirects. Default 10 s, as at Stripe. */
  checkoutWaitMs?: number;
}

/** A running Stripe double. */
export interface StripeDouble extends Listening, Pick<Deliveries, "settled" | "release"> {
  account: StripeAccount;
  switches: Switches;
}

/**
 * Starts the Stripe double on one port: the API below `/v1`, the pages of Checkout and portal, and webhook deliveries.
 * Other processes read and change the double's switches at `/admin/switches`, which Stripe does not have.
 *
 * Sources: https://docs.stripe.com/api, the SDK's types, https://docs.stripe.com/testing. Comments in the code mark
 * each deviation for local use: a clock that can be advanced, http endpoints on this machine, faster retries.
 *
 * @throws PortInUseError
 */
export async function startStripe(options: StripeOptions): Promise<StripeDouble> {
  const { events } = options;
  const account = new StripeAccount(join(options.dir, "account.db"), options.catalogue);
  const switches = createSwitches();
  const deliveries = startDeliveries(account, switches, events);

  const app = new Hono();
  app.route("/v1", stripeApi(account, options.keys, switches));
  const wait = (eventId: string) => deliveries.answered(eventId, options.checkoutWaitMs ?? 10_000);
  app.route("/c/pay", checkoutPage(account, wait));
  app.route("/p/session", portalPage(account));
  app.all(SWITCHES_PATH, async (c) => {
    const { status, body } = answerSwitches(Switches, switches, { method: c.req.method, body: await c.req.text() });
    if (!switches.hold) await deliveries.release();
    return c.json(body, status);
  });
  app.onError((error, c) => {
    if (error instanceof CutConnection) throw error;
    return c.json({ error: { type: "api_error", message: "The double has failed.", detail: error.message } }, 500);
  });

  const listening = await serve("Stripe", options.port, (request) => app.fetch(request));
  account.baseUrl = listening.url;
  // Run due actions even when no request arrives.
  const clock = setInterval(() => account.catchUp(), 1_000);
  clock.unref();
  return {
    ...listening,
    account,
    switches,
    settled: deliveries.settled,
    release: deliveries.release,
    async close() {
      clearInterval(clock);
      await deliveries.close();
      await listening.close();
      account.close();
    },
  };
}

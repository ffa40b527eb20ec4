import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { matters, parseEvent, type StripeEvent } from "../../functions/stripe/event";
import { batchGet } from "../../functions/tables/batchGet";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import type { StackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { clientOptions } from "../../stripe/clientOptions";
import { webhookEvents } from "../../stripe/events";
import type { SoakCloud } from "./cloud";
import type { Stack } from "./stack";

/** Age at which the reconciler starts to handle an event. Stripe may still deliver a younger event. */
const RECONCILED_FROM_MS = 61_000;
const ASK_EVERY_MS = 500;
const CHUNK = 100;

/** Stripe's events, and the stack's record of handled events. */
export class StripeEvents {
  private readonly stripe: Stripe;

  constructor(
    { started }: Pick<SoakCloud, "started">,
    private readonly stack: Stack,
    { values }: StackConfig,
  ) {
    this.stripe = new Stripe(values[configKey("stripeApiKey")] ?? "", clientOptions(started.doubles.stripe));
  }

  /**
   * Waits until the stack has handled every event that Stripe delivers. After a time limit, runs the reconciler once
   * for the remaining events.
   *
   * @returns events that are still not handled
   */
  async settled(): Promise<StripeEvent[]> {
    const beganMs = performance.now();
    let events = await this.unhandled();
    while (events.length > 0 && performance.now() - beganMs < RECONCILED_FROM_MS) {
      await sleep(ASK_EVERY_MS);
      events = await this.unhandled();
    }
    // Runs the reconciler before its next scheduled time. If it fails, unhandled events remain.
    if (events.length > 0) await this.stack.invoke("reconciler");
    return this.unhandled();
  }

  private async unhandled(): Promise<StripeEvent[]> {
    const events: StripeEvent[] = [];
    for await (const event of this.stripe.events.list({ types: [...webhookEvents], limit: CHUNK })) {
      const parsed = parseEvent(event);
      if (parsed && matters(parsed)) events.push(parsed);
    }
    const handled = new Set<string>();
    const key = (id: string) => `${ephemeralKeys.event}${id}`;
    for (let from = 0; from < events.length; from += CHUNK) {
      const keys = events.slice(from, from + CHUNK).map(({ id }) => key(id));
      for (const { pk } of await batchGet(this.stack.dynamodb, this.stack.ephemeralTable, keys))
        handled.add(pk?.S ?? "");
    }
    return events.filter(({ id }) => !handled.has(key(id)));
  }
}

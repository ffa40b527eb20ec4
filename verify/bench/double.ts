import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { type StripeDouble, startStripe } from "../../local/stripe/server";
import { Events } from "../../local/support/events";
import { median } from "./median";
import { round } from "./round";

/** Result of `npm run bench -- double`. */
export interface DoubleBench {
  /**
   * Duration of one purchase at the Stripe double in milliseconds. The name of the field gives the number of events in
   * the double's state.
   */
  checkoutMsAt: { events100: number; events10000: number };
  /** Duration with 10,000 events, divided by the duration with 100 events. */
  ratio: number;
}

const KEY = "sk_test_bench";
const PRICE = "price_bench";
const MEASURED = 60;
const AT_ONCE = 8;

/**
 * Measures a purchase at the Stripe double over HTTP. A purchase has three steps: create a customer, open a Checkout
 * Session, pay. Measures with a small state, then with a state that is a hundred times larger.
 */
export async function benchDouble(say: (line: string) => void): Promise<DoubleBench> {
  const dir = await mkdtemp(join(tmpdir(), "snack-bench-double-"));
  const catalogue = [{ priceId: PRICE, product: "常連プラン", nickname: "paid", unitAmountYen: 980 }];
  const double = await startStripe({ port: 0, dir, events: new Events(), keys: [KEY], catalogue });
  try {
    const buy = buyer(double);
    // The first purchases warm up the code, which is not compiled yet.
    await fill(double, 100, buy);
    const events100 = await medianTime(buy);
    say("filling the state with 10,000 events");
    await fill(double, 10_000, buy);
    const events10000 = await medianTime(buy);
    const ratio = Number((events10000 / events100).toFixed(2));
    return { checkoutMsAt: { events100: round(events100, 1), events10000: round(events10000, 1) }, ratio };
  } finally {
    await double.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function buyer({ port }: StripeDouble): () => Promise<void> {
  const stripe = new Stripe(KEY, { protocol: "http", host: "localhost", port, telemetry: false, maxNetworkRetries: 0 });
  return async () => {
    const { id } = await stripe.customers.create({ email: "mori@example.com" });
    const session = await stripe.checkout.sessions.create({
      mode: "subscription",
      customer: id,
      line_items: [{ price: PRICE, quantity: 1 }],
      success_url: "http://localhost/done",
    });
    const body = new URLSearchParams({ card_number: "4242424242424242" });
    const paid = await fetch(session.url ?? "", { method: "POST", body, redirect: "manual" });
    await paid.arrayBuffer();
    if (paid.status !== 303) throw new Error(`The Stripe double refused the payment with status ${paid.status}`);
  };
}

/** Makes purchases until the double has `events` events. */
async function fill({ account }: StripeDouble, events: number, buy: () => Promise<void>): Promise<void> {
  while (account.ledger.all("event").length < events) await Promise.all(Array.from({ length: AT_ONCE }, buy));
}

async function medianTime(work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let measured = 0; measured < MEASURED; measured++) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return median(times);
}

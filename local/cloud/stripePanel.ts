import { PanelRefusal, type StripePanel } from "../page/stripePanel";
import type { StripeDouble } from "../stripe/server";

const WORKS = "4242424242424242";
const FAILS_LATER = "4000000000000341";
/**
 * Maximum delay of an event while the switch `delay` is on. This maximum is longer than Stripe's usual delivery delay.
 */
const DELAY_UP_TO_MS = 5_000;

/** Implements the Stripe panel of the local cloud's page with the Stripe double. */
export function stripePanel({ account, switches, release, settled }: StripeDouble): StripePanel {
  /** The user's newest Stripe customer, because earlier customers may have been deleted. */
  function customerOf(userId: string): string {
    const found = account.customers().findLast(({ metadata }) => metadata.user_id === userId);
    if (!found) throw new PanelRefusal("noCustomer", "This customer has bought nothing yet.");
    return found.id;
  }

  /** Customer with a payment that can be disputed or refunded. */
  function payerOf(userId: string): string {
    const id = customerOf(userId);
    const charge = account.latestCharge(id);
    if (!charge) throw new PanelRefusal("noPayment", "This customer has paid nothing yet.");
    if (charge.disputed) throw new PanelRefusal("alreadyDisputed", "The last payment is disputed already.");
    if (charge.refunded) throw new PanelRefusal("alreadyRefunded", "The last payment is refunded already.");
    return id;
  }

  return {
    now: () => account.now(),
    async advance(seconds) {
      await account.advance(seconds);
      // Waits until the events have changed the user's row, unless events are held back.
      if (!switches.hold) await settled();
    },
    failNextRenewal: async (userId) => void account.replaceCard(customerOf(userId), FAILS_LATER),
    async mendCard(userId) {
      account.replaceCard(customerOf(userId), WORKS);
      account.payOpenInvoices(customerOf(userId));
    },
    dispute: async (userId) => void account.disputeLatestCharge(payerOf(userId)),
    async closeDispute(userId, outcome) {
      const open = account.openDisputes(customerOf(userId))[0];
      if (!open) throw new PanelRefusal("noDispute", "There is no open dispute.");
      account.closeDispute(open.id, outcome);
    },
    refund: async (userId) => void account.refundLatestCharge(payerOf(userId)),
    switches: () => ({
      hold: switches.hold,
      duplicate: switches.duplicate,
      delay: switches.delayUpToMs > 0,
      reorder: switches.reorder,
      lose: switches.lose,
    }),
    async setSwitch(name, on) {
      if (name === "delay") switches.delayUpToMs = on ? DELAY_UP_TO_MS : 0;
      else switches[name] = on;
      if (name === "hold" && !on) await release();
    },
  };
}

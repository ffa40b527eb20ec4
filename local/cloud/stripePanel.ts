import type { StripePanel } from "../page/stripePanel";
import type { StripeDouble } from "../stripe/server";

const WORKS = "4242424242424242";
const FAILS_LATER = "4000000000000341";
/** Maximum delay of an event while the switch `delay` is on. It is longer than Stripe's usual delivery delay. */
const DELAY_UP_TO_MS = 5_000;

/** Implements the Stripe panel of the local cloud's page with the Stripe double. */
export function stripePanel({ account, switches, release, settled }: StripeDouble): StripePanel {
  /** The user's newest Stripe customer, because earlier customers may have been deleted. */
  function customerOf(userId: string): string {
    const found = account.customers().findLast(({ metadata }) => metadata.user_id === userId);
    if (!found) throw new Error("This customer has bought nothing yet.");
    return found.id;
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
    dispute: async (userId) => void account.disputeLatestCharge(customerOf(userId)),
    async closeDispute(userId, outcome) {
      const open = account.openDisputes(customerOf(userId))[0];
      if (!open) throw new Error("There is no open dispute.");
      account.closeDispute(open.id, outcome);
    },
    refund: async (userId) => void account.refundLatestCharge(customerOf(userId)),
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

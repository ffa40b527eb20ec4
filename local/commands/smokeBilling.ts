import type { Api, PlanInfo } from "../../client";
import { stripePanel } from "../cloud/stripePanel";
import type { StripeDouble } from "../stripe/server";
import { payAtCheckout, pressInPortal } from "../visitor/stripePages";

/** Measurements and plans of the billing steps. */
export interface BillingResult {
  /** Milliseconds from Checkout's redirect to the paid plan, while every webhook is held back. */
  paidAfterReturnMs: number;
  /** Plan and its reason after each step. */
  steps: Record<Step, string>;
}

type Step = "paid" | "cancelled" | "periodOver" | "renewalFailed" | "graceOver" | "paidAgain" | "disputed";

const DAY_SECONDS = 24 * 3600;
/** Longer than the delivery of any webhook in this command. */
const PLAN_TIMEOUT_MS = 10_000;

/**
 * Takes a customer on the free plan through billing, on the pages of the double. The customer pays while webhooks are
 * held back, cancels in the portal, and the period ends. Then the customer pays again, the renewal fails, the grace
 * period passes and the customer replaces the card. Finally the customer disputes the payment.
 *
 * @throws Error when a step does not lead to the expected plan
 */
export async function walkBilling(
  api: Api,
  { userId }: { userId: string },
  double: StripeDouble,
  say: (line: string) => void,
): Promise<BillingResult> {
  const panel = stripePanel(double);
  const steps: Partial<Record<Step, string>> = {};

  /** Waits until the plan and its reason have the expected values. */
  async function expectPlan(step: Step, plan: string, reason: string, read: () => Promise<PlanInfo> = api.plan) {
    const deadline = Date.now() + PLAN_TIMEOUT_MS;
    for (;;) {
      const now = await read();
      steps[step] = `${now.plan}, ${now.reason}`;
      if (now.plan === plan && now.reason === reason) return now;
      if (Date.now() > deadline)
        throw new Error(`${step}: expected the plan and reason "${plan}, ${reason}", got "${steps[step]}"`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  say("paying, with every webhook held back");
  await panel.setSwitch("hold", true);
  await payAtCheckout((await api.checkout("paid")).url);
  const returnedAt = performance.now();
  const synced = await api.sync();
  const paidAfterReturnMs = Math.round(performance.now() - returnedAt);
  if (synced.plan !== "paid")
    throw new Error(`Expected the plan "paid" after Checkout's redirect, got "${synced.plan}"`);
  await panel.setSwitch("hold", false);
  const bought = await expectPlan("paid", "paid", "subscription");

  say("cancelling in the portal, and skipping time to the period's end");
  await pressInPortal((await api.portal()).url, "cancel");
  const cancelled = await expectPlan("cancelled", "paid", "subscription", async () => {
    const plan = await api.plan();
    return plan.cancel_at === undefined ? { ...plan, reason: "not cancelled" } : plan;
  });
  await panel.advance(secondsTo(cancelled.cancel_at ?? bought.expires_at, panel.now()));
  await expectPlan("periodOver", "free", "canceled");

  say("paying again, and letting the renewal fail");
  await payAtCheckout((await api.checkout("paid")).url);
  const again = await expectPlan("paid", "paid", "subscription");
  await panel.failNextRenewal(userId);
  await panel.advance(secondsTo(again.expires_at, panel.now()) + DAY_SECONDS / 4);
  const grace = await expectPlan("renewalFailed", "paid", "grace");
  await panel.advance(secondsTo(grace.grace_until, panel.now()));
  // Stripe sends no event when the grace period ends, so the customer's plan is synced here.
  await expectPlan("graceOver", "free", "past_due", api.sync);
  await panel.mendCard(userId);
  await expectPlan("paidAgain", "paid", "subscription");

  say("disputing the payment");
  await panel.dispute(userId);
  await expectPlan("disputed", "free", "disputed");
  return { paidAfterReturnMs, steps: steps as Record<Step, string> };
}

/** Seconds from the Stripe clock's time `nowSeconds` to one minute after `moment`. */
function secondsTo(moment: string | null | undefined, nowSeconds: number): number {
  if (!moment) throw new Error("The plan has no end date, so the clock cannot skip to it");
  return Math.max(1, Math.ceil(Date.parse(moment) / 1000) - nowSeconds + 60);
}

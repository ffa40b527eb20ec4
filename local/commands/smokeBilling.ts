import type { Api, PlanInfo } from "../../client";
import { stripePanel } from "../cloud/stripePanel";
import type { StripeDouble } from "../stripe/server";

/** What the walk through billing saw. */
export interface BillingResult {
  /** From Checkout's return to a paid plan, while every webhook is held back. */
  paidAfterReturnMs: number;
  /** The plan and why, after each step. */
  steps: Record<Step, string>;
}

type Step = "paid" | "cancelled" | "periodOver" | "renewalFailed" | "graceOver" | "paidAgain" | "disputed";

const DAY_SECONDS = 24 * 3600;
const WORKS = "4242424242424242";
/** Longer than any webhook takes here. */
const PATIENCE_MS = 10_000;

/**
 * Walks a free customer through billing, over the double's own pages: pays while webhooks are held back, cancels in the
 * portal, lets the period end; pays again, fails to renew, lets the grace period pass, mends the card; disputes.
 *
 * @throws Error when a step does not lead to the plan it must
 */
export async function walkBilling(
  api: Api,
  { userId }: { userId: string },
  double: StripeDouble,
  say: (line: string) => void,
): Promise<BillingResult> {
  const panel = stripePanel(double);
  const steps: Partial<Record<Step, string>> = {};

  /** The plan as the webhooks leave it, which must come to this. */
  async function expectPlan(step: Step, plan: string, reason: string, read: () => Promise<PlanInfo> = api.plan) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const now = await read();
      steps[step] = `${now.plan}, ${now.reason}`;
      if (now.plan === plan && now.reason === reason) return now;
      if (Date.now() > deadline) throw new Error(`${step}: the plan is ${steps[step]}; it must be ${plan}, ${reason}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  say("paying, with every webhook held back");
  await panel.setSwitch("hold", true);
  await pay((await api.checkout("paid")).url);
  const returnedAt = performance.now();
  const synced = await api.sync();
  const paidAfterReturnMs = Math.round(performance.now() - returnedAt);
  if (synced.plan !== "paid") throw new Error(`The plan is ${synced.plan} after Checkout's return; it must be paid`);
  await panel.setSwitch("hold", false);
  const bought = await expectPlan("paid", "paid", "subscription");

  say("cancelling in the portal, and going to the period's end");
  await inPortal((await api.portal()).url, "cancel");
  const cancelled = await expectPlan("cancelled", "paid", "subscription", async () => {
    const plan = await api.plan();
    return plan.cancel_at === undefined ? { ...plan, reason: "not cancelled" } : plan;
  });
  await panel.advance(secondsTo(cancelled.cancel_at ?? bought.expires_at, panel.now()));
  await expectPlan("periodOver", "free", "canceled");

  say("buying again, and failing to renew");
  await pay((await api.checkout("paid")).url);
  const again = await expectPlan("paid", "paid", "subscription");
  await panel.failNextRenewal(userId);
  await panel.advance(secondsTo(again.expires_at, panel.now()) + DAY_SECONDS / 4);
  const grace = await expectPlan("renewalFailed", "paid", "grace");
  await panel.advance(secondsTo(grace.grace_until, panel.now()));
  // Nothing happens at Stripe at that moment, so nothing is sent: the customer's time has come.
  await expectPlan("graceOver", "free", "past_due", api.sync);
  await panel.mendCard(userId);
  await expectPlan("paidAgain", "paid", "subscription");

  say("disputing the payment");
  await panel.dispute(userId);
  await expectPlan("disputed", "free", "disputed");
  return { paidAfterReturnMs, steps: steps as Record<Step, string> };
}

/** Fills in Checkout's form; done when Stripe sends the browser back. */
async function pay(checkoutUrl: string): Promise<void> {
  const body = new URLSearchParams({ card_number: WORKS });
  const { status, headers } = await fetch(checkoutUrl, { method: "POST", body, redirect: "manual" });
  const back = headers.get("location") ?? "";
  if (status !== 303 || !back.includes("checkout=success")) throw new Error(`Checkout answered ${status} ${back}`);
}

/** Presses a button of the portal, for the one subscription on its page. */
async function inPortal(portalUrl: string, action: "cancel"): Promise<void> {
  const html = await (await fetch(portalUrl)).text();
  const [, subscription = ""] = /name="subscription" value="([^"]+)"/.exec(html) ?? [];
  const body = new URLSearchParams({ subscription });
  const { status } = await fetch(`${portalUrl}/${action}`, { method: "POST", body, redirect: "manual" });
  if (status !== 303) throw new Error(`The portal answered ${status} to ${action}`);
}

/** From the clock's time to a moment, and a minute more. */
function secondsTo(moment: string | null | undefined, nowSeconds: number): number {
  if (!moment) throw new Error("The plan has no end to go to");
  return Math.max(1, Math.ceil(Date.parse(moment) / 1000) - nowSeconds + 60);
}

import { type Api, ApiProblem, type PaidPlan, type PlanInfo } from "../../client";
import { byId, create, say, sayDay } from "./dom";
import { type Word, words } from "./words";

/** What the billing panel needs of the rest of the page. */
export interface BillingOptions {
  api: Pick<Api, "checkout" | "portal">;
  /** Reads Stripe now and shows the plan. Throws what the API's client throws. */
  sync(): Promise<void>;
  /** Goes back to the door, after a problem that only coming in again solves. */
  toDoor(word: Word): void;
}

/** The panel of a signed-in customer: their plan in words, and the ways to Stripe's pages. */
export interface Billing {
  /** Shows a plan; undefined where it could not be read. What was told of another plan is taken away. */
  show(plan: PlanInfo | undefined): void;
  /** Nobody who could buy is seated. */
  hide(): void;
  /** Says something above the plan; undefined takes it away. */
  tell(word: Word | undefined): void;
}

/** What a customer comes back from: Checkout, paid or not, or the customer portal. */
export type Comeback = "success" | "cancelled" | "portal";

/** What the query of the page's URL says the customer comes back from, or undefined. */
export function comebackOf(query: URLSearchParams): Comeback | undefined {
  const checkout = query.get("checkout");
  if (checkout === "success" || checkout === "cancelled") return checkout;
  return query.get("portal") === "return" ? "portal" : undefined;
}

/** What to say to whoever comes back. `plan` is what Stripe says now, undefined where it could not be asked. */
export function greeting(comeback: Comeback, plan: PlanInfo | undefined): Word {
  if (comeback === "cancelled") return "checkoutCancelled";
  if (!plan) return "notConfirmed";
  if (comeback === "portal") return "portalBack";
  // Anyone can write the query: only Stripe's word makes it a purchase.
  return isSubscribed(plan) && plan.plan !== "free" ? "checkoutThanks" : "checkoutWaiting";
}

/** Whether Stripe has a subscription that still runs, paid or not: then Checkout refuses a second. */
function isSubscribed({ stripe_status }: PlanInfo): boolean {
  return stripe_status !== null && stripe_status !== "canceled" && stripe_status !== "incomplete_expired";
}

/** Makes the billing panel work. */
export function startBilling({ api, sync, toDoor }: BillingOptions): Billing {
  const panel = byId("billing", HTMLElement);
  const told = byId("billing-told", HTMLElement);
  const buttons = {
    paid: byId("buy-paid", HTMLButtonElement),
    vip: byId("buy-vip", HTMLButtonElement),
    portal: byId("portal", HTMLButtonElement),
    sync: byId("sync", HTMLButtonElement),
  };

  let shown: PlanInfo | undefined;

  function setBusy(busy: boolean): void {
    for (const button of Object.values(buttons)) button.disabled = busy;
  }

  function tell(word: Word | undefined): void {
    told.hidden = word === undefined;
    if (word) say(told, word);
    if (word === "checkoutWaiting" || word === "notConfirmed") buttons.sync.hidden = false;
  }

  /** Runs what a button asks for; a problem is told in the panel. */
  async function run(act: () => Promise<void>): Promise<void> {
    setBusy(true);
    try {
      await act();
    } catch (error) {
      setBusy(false);
      const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
      if (problem.code === "unauthorized") return toDoor(problem.code);
      // What is shown is older than what the API knows.
      if (problem.code === "already_subscribed") await sync().catch(() => undefined);
      tell(problem.code);
    }
  }

  /** Goes to a page of Stripe. The buttons stay as they are: this page ends. */
  function goTo(ask: () => Promise<{ url: string }>): Promise<void> {
    return run(async () => {
      tell("toStripe");
      location.assign((await ask()).url);
    });
  }

  const buy = (plan: PaidPlan) => goTo(() => api.checkout(plan));
  buttons.paid.addEventListener("click", () => buy("paid"));
  buttons.vip.addEventListener("click", () => buy("vip"));
  buttons.portal.addEventListener("click", () => goTo(api.portal));
  buttons.sync.addEventListener("click", () =>
    run(async () => {
      await sync();
      tell("planRead");
      setBusy(false);
    }),
  );
  // The browser's Back may bring this very page again, as it was left.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    setBusy(false);
    tell(undefined);
  });

  return {
    show(plan) {
      if (shown?.plan !== plan?.plan || shown?.reason !== plan?.reason) tell(undefined);
      shown = plan;
      panel.hidden = false;
      panel.dataset.reason = plan?.reason ?? "";
      say(byId("why", HTMLElement), plan ? becauseOf(plan.reason) : "noPlan");
      byId("dates", HTMLDListElement).replaceChildren(...(plan ? dates(plan).map(row) : []));
      const isOpen = plan !== undefined && !isSubscribed(plan);
      buttons.paid.hidden = !isOpen || plan.plan !== "free";
      buttons.vip.hidden = !isOpen || plan.plan === "vip";
      // Whoever Stripe knows can reach the portal, whatever became of the subscription.
      buttons.portal.hidden = plan !== undefined && plan.stripe_status === null;
      buttons.sync.hidden = buttons.portal.hidden;
    },
    hide() {
      shown = undefined;
      tell(undefined);
      panel.hidden = true;
    },
    tell,
  };
}

function becauseOf(reason: string): Word {
  const word = `because_${reason}`;
  return Object.hasOwn(words.en, word) ? (word as Word) : "because_other";
}

/** The days that matter, each with its name. */
function dates({ reason, expires_at, grace_until, cancel_at }: PlanInfo): [Word, string][] {
  const days: [Word, string | null | undefined][] = [
    ["payBy", grace_until],
    ["endsOn", cancel_at],
    [endName(reason), grace_until || cancel_at ? undefined : expires_at],
  ];
  return days.filter((day): day is [Word, string] => typeof day[1] === "string");
}

function endName(reason: string): Word {
  if (reason === "subscription") return "nextPayment";
  return reason === "trial" ? "trialEnds" : "validUntil";
}

function row([name, iso]: [Word, string]): HTMLDivElement {
  const line = create("div");
  const value = create("dd");
  const day = create("time", "day");
  sayDay(day, iso);
  value.append(day);
  line.append(say(create("dt"), name), value);
  return line;
}

import { ApiProblem, type Client, type PaidPlan, type PlanInfo } from "@snack-misaki/client";
import type { Offer } from "./config";
import { button, byId, create, language, markLanguage, onLanguageChange, setDate, setText, textOf } from "./dom";
import { type Word, words } from "./translations";

/** Functions of the page that the billing panel uses. */
export interface BillingOptions {
  api: Pick<Client, "checkout" | "portal">;
  /** Plans for sale. */
  offers: readonly Offer[];
  /** Syncs with Stripe and shows the plan. Throws the API client's errors. */
  sync(): Promise<void>;
  /** Returns to the entrance view. Called after a problem that only a new sign-in solves. */
  showEntrance(word: Word): void;
}

/** Panel of a signed-in customer: the plan in words, and buttons to Stripe's pages. */
export interface Billing {
  /**
   * Shows a plan. Removes the message when the plan or its reason has changed. Undefined when the plan could not be
   * read.
   */
  show(plan: PlanInfo | undefined): void;
  /** Hides the panel when no customer is signed in. */
  hide(): void;
  /** Shows a message above the plan; undefined removes it. */
  showMessage(word: Word | undefined): void;
}

/**
 * The Stripe page from which a customer returns. `success`: Checkout after the payment. `cancelled`: Checkout without a
 * payment.
 */
export type StripeReturn = "success" | "cancelled" | "portal";

/** Reads the page's query; undefined when the customer does not return from Stripe. */
export function stripeReturnOf(query: URLSearchParams): StripeReturn | undefined {
  const checkout = query.get("checkout");
  if (checkout === "success" || checkout === "cancelled") return checkout;
  return query.get("portal") === "return" ? "portal" : undefined;
}

/**
 * Chooses the message for a returning customer.
 *
 * @param plan Stripe's current state; undefined when it could not be read
 */
export function greeting(comeback: StripeReturn, plan: PlanInfo | undefined): Word {
  if (comeback === "cancelled") return "checkoutCancelled";
  if (!plan) return "notConfirmed";
  // A change of plan does not undo an earlier cancellation, which the customer may not expect.
  if (comeback === "portal") return plan.cancel_at ? "stillCancelled" : "portalBack";
  // Anyone can write the query. Only Stripe's state proves the purchase.
  return isSubscribed(plan) && plan.plan !== "free" ? "checkoutThanks" : "checkoutWaiting";
}

/** Whether Stripe has a subscription that has not ended, paid or not. Checkout then refuses a second subscription. */
function isSubscribed({ stripe_status }: PlanInfo): boolean {
  return stripe_status !== null && stripe_status !== "canceled" && stripe_status !== "incomplete_expired";
}

/** Starts the billing panel. */
export function startBilling({ api, offers, sync, showEntrance }: BillingOptions): Billing {
  const panel = byId("billing", HTMLElement);
  const message = byId("billing-message", HTMLElement);
  const list = byId("offers", HTMLUListElement);
  const portal = byId("portal", HTMLButtonElement);
  const syncNow = byId("sync", HTMLButtonElement);

  let shown: PlanInfo | undefined;

  function setBusy(busy: boolean): void {
    for (const each of panel.querySelectorAll("button")) each.disabled = busy;
  }

  function showMessage(word: Word | undefined): void {
    message.hidden = word === undefined;
    if (word) setText(message, word);
    if (word === "checkoutWaiting" || word === "notConfirmed") syncNow.hidden = false;
  }

  /** Runs a button's action and shows a problem in the panel. */
  async function run(act: () => Promise<void>): Promise<void> {
    setBusy(true);
    try {
      await act();
    } catch (error) {
      setBusy(false);
      const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
      if (problem.code === "unauthorized") return showEntrance(problem.code);
      // The panel shows an outdated plan, so read the current plan.
      if (problem.code === "already_subscribed") await sync().catch(() => undefined);
      showMessage(problem.code);
    }
  }

  /** Opens a Stripe page. The buttons stay disabled, because the browser leaves this page. */
  function goTo(ask: () => Promise<{ url: string }>): Promise<void> {
    return run(async () => {
      showMessage("toStripe");
      location.assign((await ask()).url);
    });
  }

  // Checkout refuses a second subscription. A subscriber confirms the change of plan in the portal.
  const buy = (plan: PaidPlan) => goTo(() => (shown && isSubscribed(shown) ? api.portal(plan) : api.checkout(plan)));
  portal.addEventListener("click", () => goTo(() => api.portal()));
  syncNow.addEventListener("click", () =>
    run(async () => {
      await sync();
      showMessage("planRead");
      setBusy(false);
    }),
  );

  function showOffers(): void {
    const open = shown ? offers.filter(({ plan }) => shown && mayBuy(shown, plan)) : [];
    list.replaceChildren(...open.map((offer) => offerItem(offer, shown?.plan !== "free", () => buy(offer.plan))));
  }
  onLanguageChange(showOffers);

  // The browser's Back button may restore this page from its cache, with disabled buttons.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    setBusy(false);
    showMessage(undefined);
  });

  return {
    show(plan) {
      if (shown?.plan !== plan?.plan || shown?.reason !== plan?.reason) showMessage(undefined);
      shown = plan;
      panel.hidden = false;
      panel.dataset.reason = plan?.reason ?? "";
      setText(byId("why", HTMLElement), plan ? becauseOf(plan.reason) : "noPlan");
      byId("dates", HTMLDListElement).replaceChildren(...(plan ? dates(plan).map(row) : []));
      showOffers();
      // Every Stripe customer can open the portal, in every state of the subscription.
      portal.hidden = plan !== undefined && plan.stripe_status === null;
      syncNow.hidden = portal.hidden;
    },
    hide() {
      shown = undefined;
      showMessage(undefined);
      panel.hidden = true;
    },
    showMessage,
  };
}

function becauseOf(reason: string): Word {
  const word = `because_${reason}`;
  return Object.hasOwn(words.en, word) ? (word as Word) : "because_other";
}

/** Whether a customer may buy a plan now. The plan must be above the present plan, and no payment may be open. */
function mayBuy(plan: PlanInfo, wanted: PaidPlan): boolean {
  const isAbove = plan.plan === "free" || (plan.plan === "paid" && wanted === "vip");
  return isAbove && (!isSubscribed(plan) || (plan.plan === "paid" && plan.stripe_status === "active"));
}

/** A plan for sale: name, price and button. */
function offerItem({ plan, name, price }: Offer, isChange: boolean, buy: () => void): HTMLLIElement {
  const item = create("li");
  item.dataset.plan = plan;
  const title = create("span", "name", name ?? textOf(`plan_${plan}`));
  markLanguage(title, title.textContent);
  const order = button(isChange ? "changePlan" : "buyPlan", buy);
  order.className = "warm";
  // Two buttons with the same text need different names.
  order.setAttribute("aria-label", `${order.textContent}: ${title.textContent}`);
  item.append(title, order);
  if (price) item.append(create("span", "price", priceText(price)));
  return item;
}

/** A price in the page's language, such as `月 ￥980`. */
function priceText({ amount, currency, interval }: NonNullable<Offer["price"]>): string {
  const format = new Intl.NumberFormat(language(), { style: "currency", currency });
  const value = amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2);
  return textOf(`per_${interval}`, { amount: format.format(value) });
}

/** The relevant dates with their labels. */
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
  setDate(day, iso);
  value.append(day);
  line.append(setText(create("dt"), name), value);
  return line;
}

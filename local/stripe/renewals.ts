import type Stripe from "stripe";
import type { Ledger } from "./ledger";
import { collect, DRAFT_SECONDS, draftInvoice, finalizeInvoice } from "./payments";
import { currentPeriodEnd, endSubscription, INCOMPLETE_SECONDS, rollPeriod, subscriptionOf } from "./subscriptions";

/** A scheduled action. */
interface Due {
  at: number;
  act(): void;
}

/**
 * Runs the scheduled actions of the selected customers in order of time, up to `until` in Unix seconds.
 *
 * @param isOn selects the customers who use the clock that advances
 */
export function runTime(ledger: Ledger, until: number, isOn: (customer: string) => boolean): void {
  for (;;) {
    const next = [...dueSubscriptions(ledger, isOn), ...dueInvoices(ledger, isOn)]
      .filter(({ at }) => at <= until)
      .toSorted((one, other) => one.at - other.at)[0];
    if (!next) return;
    ledger.at(next.at, next.act);
  }
}

function* dueSubscriptions(ledger: Ledger, isOn: (customer: string) => boolean): Generator<Due> {
  for (const subscription of ledger.all("subscription")) {
    const { id, status, cancel_at, cancel_at_period_end, created, trial_end } = subscription;
    if (!isOn(subscription.customer as string)) continue;
    if (status === "incomplete") {
      yield { at: created + INCOMPLETE_SECONDS, act: () => void expireIncomplete(ledger, id) };
      continue;
    }
    if (!["trialing", "active", "past_due", "unpaid"].includes(status)) continue;
    const end = currentPeriodEnd(subscription);
    const cancel = cancel_at ?? (cancel_at_period_end ? end : null);
    const dunning = ledger.state.dunning[id];
    if (cancel !== null && cancel <= end) {
      yield { at: cancel, act: () => void endSubscription(ledger, id, "cancellation_requested") };
    } else if (status === "trialing") {
      yield { at: trial_end ?? end, act: () => renew(ledger, subscription) };
    } else {
      yield { at: end, act: () => renew(ledger, subscription) };
    }
    if (dunning?.nextAt) yield { at: dunning.nextAt, act: () => retry(ledger, subscription) };
  }
}

function* dueInvoices(ledger: Ledger, isOn: (customer: string) => boolean): Generator<Due> {
  for (const invoice of ledger.all("invoice")) {
    const { id, status, automatically_finalizes_at, collection_method, customer, due_date } = invoice;
    if (!isOn(customer as string)) continue;
    const isSent = collection_method === "send_invoice";
    if (status === "draft" && automatically_finalizes_at !== null) {
      yield {
        at: automatically_finalizes_at,
        act: () => {
          const { amount_due } = finalizeInvoice(ledger, id);
          if (!isSent || amount_due === 0) collect(ledger, id);
        },
      };
    }
    const subscription = status === "open" && isSent ? subscriptionOf(ledger, invoice) : undefined;
    if (subscription?.status === "active" && due_date)
      yield { at: due_date, act: () => becomeOverdue(ledger, id, subscription.id) };
  }
}

/**
 * Makes a subscription past due because its sent invoice was not paid by the due date. No charge has failed, so there
 * is no `invoice.payment_failed`.
 */
function becomeOverdue(ledger: Ledger, invoice: string, subscription: string): void {
  ledger.emit("invoice.overdue", ledger.get("invoice", invoice));
  ledger.change("subscription", subscription, { status: "past_due" }, "customer.subscription.updated");
}

/** Expires Checkout Sessions by the wall clock, because a person at the Checkout page does not see a test clock. */
export function expireSessions(ledger: Ledger): void {
  const now = wallSeconds();
  for (const { id, status, expires_at } of ledger.all("checkout.session")) {
    if (status === "open" && expires_at <= now) expireSession(ledger, id);
  }
}

/** Unix seconds of the wall clock. */
export function wallSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Expires a Checkout Session. */
export function expireSession(ledger: Ledger, id: string): Stripe.Checkout.Session {
  return ledger.change("checkout.session", id, { status: "expired", url: null }, "checkout.session.expired");
}

/**
 * Starts the next period, and then creates its invoice as a draft. The draft is charged an hour later, unless
 * collection is paused.
 */
function renew(ledger: Ledger, { id, status, trial_end }: Stripe.Subscription): void {
  const before = ledger.get("subscription", id);
  const start = status === "trialing" ? (trial_end ?? currentPeriodEnd(before)) : currentPeriodEnd(before);
  ledger.change(
    "subscription",
    id,
    { items: rollPeriod(before, start), ...(status === "trialing" && { status: "active" }) },
    "customer.subscription.updated",
  );
  const paused = before.pause_collection;
  const invoice = draftInvoice(ledger, ledger.get("subscription", id), "subscription_cycle");
  if (paused?.behavior === "void") {
    ledger.change("invoice", invoice.id, { status: "void", auto_advance: false }, "invoice.voided");
  } else if (paused?.behavior === "mark_uncollectible") {
    ledger.change(
      "invoice",
      invoice.id,
      { status: "uncollectible", auto_advance: false },
      "invoice.marked_uncollectible",
    );
  } else if (!paused) {
    ledger.change("invoice", invoice.id, { automatically_finalizes_at: start + DRAFT_SECONDS });
  }
}

/** Retries the open invoice. After the last retry the subscription ends. */
function retry(ledger: Ledger, { id }: Stripe.Subscription): void {
  const dunning = ledger.state.dunning[id];
  const open = ledger
    .all("invoice")
    .filter((invoice) => invoice.status === "open" && invoice.parent?.subscription_details?.subscription === id);
  const isLast = dunning !== undefined && dunning.failures >= 4;
  if (dunning) ledger.set("dunning", id, { ...dunning, nextAt: null });
  if (isLast) {
    endSubscription(ledger, id, "payment_failed");
    return;
  }
  for (const invoice of open) if (!collect(ledger, invoice.id).paid) return;
}

function expireIncomplete(ledger: Ledger, id: string): Stripe.Subscription {
  const subscription = ledger.get("subscription", id);
  for (const invoice of ledger.all("invoice")) {
    if (invoice.status === "open" && invoice.parent?.subscription_details?.subscription === id)
      ledger.change("invoice", invoice.id, { status: "void" }, "invoice.voided");
  }
  return ledger.change(
    "subscription",
    id,
    { status: "incomplete_expired", ended_at: ledger.now(subscription.customer as string) },
    "customer.subscription.updated",
  );
}

import type Stripe from "stripe";
import { behaviourOf, type CardBehaviour } from "./cards";
import { discounted } from "./discounts";
import { newId } from "./ids";
import type { Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import { declined, invalid } from "./problem";
import { DAY, subscriptionOf } from "./subscriptions";

/** Stripe finalizes a draft after about an hour. */
export const DRAFT_SECONDS = 3600;
/**
 * Days of the retries of a renewal, counted from the first failed payment. The subscription ends after the last retry.
 */
const RETRY_DAYS = [3, 5, 7, 14];

/** Creates a draft invoice for a subscription's current period. */
export function draftInvoice(
  ledger: Ledger,
  subscription: Stripe.Subscription,
  reason: "subscription_create" | "subscription_cycle" | "subscription_update",
): Stripe.Invoice {
  const customer = subscription.customer as string;
  const now = ledger.now(customer);
  const id = newId("in");
  const isTrial = subscription.status === "trialing";
  const undiscounted = subscription.items.data.map((item) =>
    blank.invoiceLine({
      id: newId("il"),
      amount: isTrial ? 0 : (item.price.unit_amount ?? 0) * (item.quantity ?? 1),
      currency: subscription.currency,
      description: `${item.quantity ?? 1} × ${item.price.nickname ?? item.price.id}`,
      invoice: id,
      period: { start: item.current_period_start, end: item.current_period_end },
      subscription: subscription.id,
      item: item.id,
      price: item.price,
      quantity: item.quantity ?? 1,
    }),
  );
  const { lines, ...discounts } = discounted(ledger, subscription, undiscounted);
  const subtotal = lines.reduce((sum, { amount }) => sum + amount, 0);
  const isSent = subscription.collection_method === "send_invoice";
  ledger.set("counters", "invoices", ledger.state.counters.invoices + 1);
  const { email = null } = ledger.get("customer", customer) as Stripe.Customer;
  const invoice = blank.invoice({
    id,
    created: now,
    currency: subscription.currency,
    customer,
    customer_email: email,
    billing_reason: reason,
    number: `DOUBLE-${String(ledger.state.counters.invoices).padStart(4, "0")}`,
    test_clock: subscription.test_clock,
    lines: blank.inlineList(lines, `/v1/invoices/${id}/lines`),
    period_start: now,
    period_end: now,
    subscription: subscription.id,
    subscriptionMetadata: subscription.metadata,
    subtotal,
    total: discounts.total_discount_amounts.reduce((left, { amount }) => left - amount, subtotal),
    collection_method: subscription.collection_method,
    automatically_finalizes_at: isSent ? now + DRAFT_SECONDS : null,
    ...discounts,
  });
  ledger.put("invoice", invoice);
  ledger.change("subscription", subscription.id, { latest_invoice: id });
  ledger.emit("invoice.created", invoice);
  return invoice;
}

/** Finalizes a draft invoice. */
export function finalizeInvoice(ledger: Ledger, id: string): Stripe.Invoice {
  const invoice = ledger.get("invoice", id);
  if (invoice.status !== "draft")
    throw invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.");
  const now = ledger.now(invoice.customer as string);
  const days = subscriptionOf(ledger, invoice)?.days_until_due ?? null;
  const isSent = invoice.collection_method === "send_invoice";
  return ledger.change(
    "invoice",
    id,
    {
      status: "open",
      due_date: days === null ? null : now + days * DAY,
      automatically_finalizes_at: null,
      effective_at: now,
      hosted_invoice_url: null,
      invoice_pdf: null,
      status_transitions: { ...invoice.status_transitions, finalized_at: now },
    },
    "invoice.finalized",
    ...(isSent ? ["invoice.sent"] : []),
  );
}

function cardOf(ledger: Ledger, subscription: Stripe.Subscription): Stripe.PaymentMethod | undefined {
  const customer = ledger.find("customer", subscription.customer as string);
  const fallback = customer && !customer.deleted ? customer.invoice_settings.default_payment_method : null;
  const id = subscription.default_payment_method ?? fallback;
  return typeof id === "string" ? ledger.find("payment_method", id) : undefined;
}

/** Result of paying an invoice. */
export type Payment = { paid: true } | { paid: false; code: string; message: string };

/** How an invoice is paid. */
interface PaymentOptions {
  /** Whether the card's owner is present, as at Checkout. */
  present?: boolean;
  /** Makes the payment fail. */
  decline?: { code: string; message: string };
  /** Records a payment outside of Stripe, such as cash or a bank transfer. Nothing is charged. */
  outOfBand?: boolean;
}

/** Charges an open invoice to the subscription's card and emits the invoice's events. */
function payInvoice(ledger: Ledger, id: string, { present = false, decline, outOfBand }: PaymentOptions): Payment {
  const invoice = ledger.get("invoice", id);
  if (invoice.status !== "open")
    throw invalid(
      `Invoice is ${invoice.status === "paid" ? "already paid" : `not payable: it is ${invoice.status}`}`,
      undefined,
      "invoice_not_payable",
    );
  const customer = invoice.customer as string;
  const now = ledger.now(customer);
  const subscription = subscriptionOf(ledger, invoice);
  const card = subscription && cardOf(ledger, subscription);
  if (invoice.amount_due === 0) return settle(ledger, invoice, now);
  if (outOfBand) return settleOutOfBand(ledger, invoice, now);

  const behaviour = card && behaviourOf(card);
  const failure = decline ?? failureOf(behaviour, present);
  const intent = blank.paymentIntent({
    id: newId("pi"),
    created: now,
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer,
    payment_method: card?.id ?? null,
    description: invoice.billing_reason === "subscription_create" ? "Subscription creation" : "Subscription update",
  });
  const charge = blank.charge({
    id: newId("ch"),
    created: now,
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer,
    payment_intent: intent.id,
    payment_method: card?.id ?? null,
    status: failure ? "failed" : "succeeded",
    failure_code: failure?.code ?? null,
    failure_message: failure?.message ?? null,
  });
  ledger.put("payment_intent", {
    ...intent,
    latest_charge: card ? charge.id : null,
    amount_received: failure ? 0 : intent.amount,
    status: failure ? "requires_payment_method" : "succeeded",
  });
  if (card) ledger.put("charge", charge);
  const payment = blank.invoicePayment({
    id: newId("inpay"),
    created: now,
    currency: invoice.currency,
    invoice: id,
    amount_requested: invoice.amount_due,
    payment: { payment_intent: intent.id, type: "payment_intent" },
  });
  ledger.put("invoice_payment", failure ? payment : paidNow(payment, now));
  ledger.emit(
    failure ? "payment_intent.payment_failed" : "payment_intent.succeeded",
    ledger.get("payment_intent", intent.id),
  );
  if (card) ledger.emit(failure ? "charge.failed" : "charge.succeeded", charge);
  if (failure) {
    ledger.change(
      "invoice",
      id,
      { attempted: true, attempt_count: invoice.attempt_count + 1 },
      "invoice.payment_failed",
      ...(failure.code === "authentication_required" ? ["invoice.payment_action_required"] : []),
    );
    return { paid: false, ...failure };
  }
  return settle(ledger, invoice, now);
}

/** @param behaviour undefined when there is no card */
function failureOf(behaviour: CardBehaviour | undefined, present: boolean): PaymentOptions["decline"] {
  if (!behaviour)
    return {
      code: "resource_missing",
      message: "There is no `default_payment_method` set on this Customer or Invoice.",
    };
  if (!present && behaviour.later === "authenticate")
    return {
      code: "authentication_required",
      message: "Your card was declined. This transaction requires authentication.",
    };
  return present || behaviour.later ? undefined : { code: "card_declined", message: "Your card was declined." };
}

/** A payment that has succeeded. */
export function paidNow(payment: Stripe.InvoicePayment, now: number): Stripe.InvoicePayment {
  return {
    ...payment,
    amount_paid: payment.amount_requested,
    status: "paid",
    status_transitions: { canceled_at: null, paid_at: now },
  };
}

/** Marks an invoice as paid outside of Stripe. Creates no charge, and no amount counts as received by Stripe. */
function settleOutOfBand(ledger: Ledger, invoice: Stripe.Invoice, now: number): Payment {
  const payment = blank.invoicePayment({
    id: newId("inpay"),
    created: now,
    currency: invoice.currency,
    invoice: invoice.id,
    amount_requested: invoice.amount_due,
    payment: { payment_record: newId("pr"), type: "payment_record" },
  });
  ledger.put("invoice_payment", paidNow(payment, now));
  ledger.set("paidOffStripe", invoice.id, invoice.amount_due);
  return settle(ledger, invoice, now, 0);
}

function settle(ledger: Ledger, invoice: Stripe.Invoice, now: number, amountPaid = invoice.amount_due): Payment {
  ledger.change(
    "invoice",
    invoice.id,
    {
      status: "paid",
      attempted: true,
      attempt_count: invoice.attempt_count + (invoice.amount_due > 0 ? 1 : 0),
      amount_paid: amountPaid,
      amount_remaining: 0,
      next_payment_attempt: null,
      status_transitions: { ...invoice.status_transitions, paid_at: now },
    },
    "invoice.paid",
    "invoice.payment_succeeded",
  );
  return { paid: true };
}

/**
 * Charges a renewal's invoice. Sets the subscription to `active`, or to `past_due` with a retry when the payment fails.
 */
export function collect(ledger: Ledger, invoiceId: string, options: PaymentOptions = {}): Payment {
  const payment = payInvoice(ledger, invoiceId, options);
  const subscription = subscriptionOf(ledger, ledger.get("invoice", invoiceId));
  if (!subscription) return payment;
  const { id, status } = subscription;
  if (payment.paid) {
    activate(ledger, subscription);
    disputeIfCardDisputes(ledger, invoiceId);
    return payment;
  }
  if (status === "incomplete" || status === "canceled") return payment;
  const now = ledger.now(subscription.customer as string);
  const dunning = ledger.state.dunning[id] ?? { failures: 0, nextAt: null, firstAt: now };
  const nextDays = RETRY_DAYS[dunning.failures];
  const nextAt = nextDays === undefined ? null : dunning.firstAt + nextDays * DAY;
  ledger.set("dunning", id, { ...dunning, failures: dunning.failures + 1, nextAt });
  ledger.change("invoice", invoiceId, { next_payment_attempt: nextAt });
  if (status !== "past_due") ledger.change("subscription", id, { status: "past_due" }, "customer.subscription.updated");
  return payment;
}

/** Marks an open invoice as paid, after its money has arrived. */
export function settleInvoice(ledger: Ledger, id: string): void {
  const invoice = ledger.get("invoice", id);
  settle(ledger, invoice, ledger.now(invoice.customer as string));
  const subscription = subscriptionOf(ledger, invoice);
  if (subscription) activate(ledger, subscription);
}

/** Sets a subscription to `active` when no open invoice remains. */
function activate(ledger: Ledger, { id, status }: Stripe.Subscription): void {
  ledger.set("dunning", id, undefined);
  const isOpen = ledger.all("invoice").some((one) => one.status === "open" && subscriptionOf(ledger, one)?.id === id);
  if (!isOpen && ["past_due", "unpaid", "incomplete"].includes(status)) {
    ledger.change("subscription", id, { status: "active" }, "customer.subscription.updated");
  }
}

/** Error answer for a failed payment. */
export function paymentProblem({ code, message }: { code: string; message: string }) {
  return declined(code, message);
}

/** Opens a dispute when the card of the payment is a test card that disputes every payment. */
function disputeIfCardDisputes(ledger: Ledger, invoiceId: string): void {
  const invoice = ledger.get("invoice", invoiceId);
  const charge = latestCharge(ledger, invoice.customer as string);
  const card = charge?.payment_method && ledger.find("payment_method", charge.payment_method);
  if (charge && !charge.disputed && card && behaviourOf(card).disputes) openDispute(ledger, charge, "fraudulent");
}

/** A customer's newest successful payment. */
export function latestCharge(ledger: Ledger, customer: string): Stripe.Charge | undefined {
  return ledger.all("charge").findLast((charge) => charge.customer === customer && charge.status === "succeeded");
}

/** Opens a dispute about a payment. */
export function openDispute(ledger: Ledger, charge: Stripe.Charge, reason: string): Stripe.Dispute {
  if (charge.disputed) throw invalid(`Charge ${charge.id} is already disputed.`);
  const dispute = blank.dispute({
    id: newId("du"),
    created: ledger.now(charge.customer as string),
    amount: charge.amount,
    currency: charge.currency,
    charge: charge.id,
    payment_intent: charge.payment_intent,
    reason,
  });
  ledger.change("charge", charge.id, { disputed: true });
  ledger.put("dispute", dispute);
  ledger.emit("charge.dispute.created", dispute);
  ledger.emit("charge.dispute.funds_withdrawn", dispute);
  return dispute;
}

/** Decides a dispute. */
export function decideDispute(ledger: Ledger, id: string, outcome: "won" | "lost"): Stripe.Dispute {
  const { status } = ledger.get("dispute", id);
  if (status === "won" || status === "lost") throw invalid("This dispute is already closed");
  const closed = ledger.change("dispute", id, { status: outcome }, "charge.dispute.updated", "charge.dispute.closed");
  if (outcome === "won") ledger.emit("charge.dispute.funds_reinstated", closed);
  return closed;
}

/** Refunds a payment. */
export function makeRefund(
  ledger: Ledger,
  charge: Stripe.Charge,
  amount: number | undefined,
  reason: Stripe.Refund.Reason | null,
): Stripe.Refund {
  const left = charge.amount - charge.amount_refunded;
  if (charge.status !== "succeeded") throw invalid(`This charge cannot be refunded: it is ${charge.status}.`);
  if (left === 0) throw invalid(`Charge ${charge.id} has already been refunded.`, undefined, "charge_already_refunded");
  if (charge.disputed)
    throw invalid(`Charge ${charge.id} has been charged back; cannot issue a refund.`, undefined, "charge_disputed");
  const refunded = amount ?? left;
  if (refunded > left || refunded < 1)
    throw invalid(`Refund amount (${refunded}) is greater than unrefunded amount on charge (${left})`, "amount");
  const refund = ledger.put(
    "refund",
    blank.refund({
      id: newId("re"),
      created: ledger.now(charge.customer as string),
      amount: refunded,
      currency: charge.currency,
      charge: charge.id,
      customer: charge.customer,
      payment_intent: charge.payment_intent,
      payment_method: charge.payment_method,
      reason,
    }),
  );
  ledger.emit("refund.created", refund);
  ledger.change(
    "charge",
    charge.id,
    { amount_refunded: charge.amount_refunded + refunded, refunded: refunded === left },
    "charge.refunded",
  );
  return refund;
}

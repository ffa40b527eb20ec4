import type Stripe from "stripe";
import { newId } from "./ids";
import type { Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import { paidNow, settleInvoice } from "./payments";
import { invalid } from "./problem";
import { DAY } from "./subscriptions";

/** Days in which a payment code can be used at a store. */
const CODE_DAYS = 3;

/**
 * Completes a one-time Checkout Session with a payment code for a convenience store. Nothing is paid yet. For
 * subscriptions, Checkout does not offer konbini (https://docs.stripe.com/payments/konbini/accept-a-payment).
 */
export function orderAtKonbini(ledger: Ledger, sessionId: string): Stripe.PaymentIntent {
  const session = ledger.get("checkout.session", sessionId);
  if (session.status !== "open") throw invalid("This Checkout Session is no longer active.");
  if (!session.payment_method_types.includes("konbini"))
    throw invalid("This Checkout Session does not accept konbini.");
  const intent = createCode(ledger, {
    customer: session.customer as string | null,
    amount: session.amount_total ?? 0,
    currency: session.currency ?? "jpy",
    description: null,
  });
  ledger.change(
    "checkout.session",
    sessionId,
    { status: "complete", url: null, payment_intent: intent.id, payment_status: "unpaid" },
    "checkout.session.completed",
  );
  return intent;
}

/**
 * Issues a payment code on the hosted page of a subscription's invoice. Only an invoice that Stripe has sent
 * (`send_invoice`) accepts konbini.
 */
export function payInvoiceAtKonbini(ledger: Ledger, invoiceId: string): Stripe.PaymentIntent {
  const invoice = ledger.get("invoice", invoiceId);
  if (invoice.status !== "open" || invoice.collection_method !== "send_invoice")
    throw invalid("Only an open invoice with the collection method send_invoice can be paid with konbini.");
  const intent = createCode(ledger, {
    customer: invoice.customer as string,
    amount: invoice.amount_remaining,
    currency: invoice.currency,
    description: `Payment for invoice ${invoice.number}`,
  });
  const payment = blank.invoicePayment({
    id: newId("inpay"),
    created: intent.created,
    currency: invoice.currency,
    invoice: invoiceId,
    amount_requested: intent.amount,
    payment: { payment_intent: intent.id, type: "payment_intent" },
  });
  ledger.put("invoice_payment", payment);
  return intent;
}

/** Lets the customer pay at the store, or lets the payment code expire. */
export function decideKonbini(ledger: Ledger, intentId: string, outcome: "paid" | "expired"): void {
  const intent = ledger.get("payment_intent", intentId);
  if (intent.status !== "requires_action")
    throw invalid(`The payment code cannot be used: its payment is ${intent.status}.`);
  if (outcome === "paid") receiveCash(ledger, intent);
  else {
    ledger.change(
      "payment_intent",
      intentId,
      { status: "requires_payment_method", next_action: null },
      "payment_intent.payment_failed",
    );
  }
  const session = ledger.all("checkout.session").find(({ payment_intent }) => payment_intent === intentId);
  if (session) finishSession(ledger, session.id, outcome);
  const payment = ledger.all("invoice_payment").find((one) => one.payment.payment_intent === intentId);
  if (payment) finishInvoice(ledger, payment, outcome);
}

function createCode(
  ledger: Ledger,
  given: { customer: string | null; amount: number; currency: string; description: string | null },
): Stripe.PaymentIntent {
  const now = ledger.now(given.customer ?? undefined);
  const code = { payment_code: "123456789012", confirmation_number: "09012345678" };
  const stores = { familymart: code, lawson: code, ministop: code, seicomart: code };
  const intent = ledger.put("payment_intent", {
    ...blank.paymentIntent({ id: newId("pi"), created: now, payment_method: null, ...given }),
    payment_method_types: ["konbini"],
    setup_future_usage: null,
    status: "requires_action",
    next_action: {
      type: "konbini_display_details",
      konbini_display_details: { expires_at: now + CODE_DAYS * DAY, hosted_voucher_url: null, stores },
    },
  });
  ledger.emit("payment_intent.requires_action", intent);
  return intent;
}

function receiveCash(ledger: Ledger, intent: Stripe.PaymentIntent): void {
  const { id, amount, currency, customer } = intent;
  const charge = blank.charge({
    id: newId("ch"),
    created: ledger.now((customer as string | null) ?? undefined),
    amount,
    currency,
    customer,
    payment_intent: id,
    payment_method: null,
    status: "succeeded",
    failure_code: null,
    failure_message: null,
  });
  ledger.put("charge", charge);
  ledger.change(
    "payment_intent",
    id,
    { status: "succeeded", next_action: null, amount_received: amount, latest_charge: charge.id },
    "payment_intent.succeeded",
  );
  ledger.emit("charge.succeeded", charge);
}

function finishSession(ledger: Ledger, id: string, outcome: "paid" | "expired"): void {
  if (outcome === "paid")
    ledger.change("checkout.session", id, { payment_status: "paid" }, "checkout.session.async_payment_succeeded");
  else ledger.emit("checkout.session.async_payment_failed", ledger.get("checkout.session", id));
}

/**
 * Ends the payment. An expired code does not change the invoice or the subscription. The subscription becomes past due
 * only after the due date.
 */
function finishInvoice(ledger: Ledger, payment: Stripe.InvoicePayment, outcome: "paid" | "expired"): void {
  const invoice = ledger.get("invoice", payment.invoice as string);
  const now = ledger.now(invoice.customer as string);
  if (outcome === "expired") {
    ledger.change(
      "invoice",
      invoice.id,
      { attempted: true, attempt_count: invoice.attempt_count + 1 },
      "invoice.payment_failed",
    );
    return;
  }
  ledger.put("invoice_payment", paidNow(payment, now));
  settleInvoice(ledger, invoice.id);
}

import type Stripe from "stripe";
import { cardBehaviour, NUMBER } from "./cards";
import { addDiscounts } from "./discounts";
import { newId } from "./ids";
import type { Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import { collect, draftInvoice, finalizeInvoice } from "./payments";
import { invalid } from "./problem";
import { DAY, openSubscription } from "./subscriptions";

/** Result of a payment attempt. */
export type CheckoutOutcome =
  | { outcome: "complete"; returnUrl: string; eventId: string }
  | { outcome: "requires_action" }
  | { outcome: "declined"; code: string; message: string };

/**
 * Attaches a test card to a customer.
 *
 * @throws StripeProblem unless the number is one of Stripe's test cards
 */
export function attachCard(ledger: Ledger, customer: string, number: string): Stripe.PaymentMethod {
  const digits = number.replaceAll(/\D/g, "");
  const behaviour = cardBehaviour(digits);
  if (!behaviour)
    throw invalid(
      "Your card number is not one of Stripe's test cards. Use 4242 4242 4242 4242.",
      "number",
      "incorrect_number",
    );
  const method = ledger.put(
    "payment_method",
    blank.card({
      id: newId("pm"),
      created: ledger.now(customer),
      customer,
      metadata: { [NUMBER]: digits },
      brand: behaviour.brand,
      last4: digits.slice(-4),
    }),
  );
  ledger.emit("payment_method.attached", method);
  return method;
}

/**
 * Pays an open session with a card: creates the subscription, pays its first invoice and completes the session. When
 * the payment fails or waits for authentication, the subscription stays `incomplete`, even after the session has
 * expired. The next attempt on the same page pays the same subscription.
 */
export function payCheckout(
  ledger: Ledger,
  sessionId: string,
  { number, authenticated }: { number: string; authenticated?: boolean },
): CheckoutOutcome {
  const session = ledger.get("checkout.session", sessionId);
  const purchase = ledger.state.purchases[sessionId];
  if (session.status !== "open" || !purchase) throw invalid("This Checkout Session is no longer active.");
  if (session.mode !== "subscription") throw invalid("The double's one-time Checkout Sessions accept only konbini.");
  const behaviour = cardBehaviour(number);
  if (!behaviour) return { outcome: "declined", code: "incorrect_number", message: "Your card number is incorrect." };

  const customer = (session.customer as string | null) ?? newCustomer(ledger, session);
  if (session.customer === null) ledger.change("checkout.session", sessionId, { customer });
  const { first } = behaviour;
  const isPending = first === "authenticate" && authenticated === undefined;
  const decline = typeof first === "object" ? first : authenticated === false ? failedAuthentication : undefined;
  // A trial and a free first period begin only with a card that works.
  const isFree = purchase.trialDays > 0 || session.amount_total === 0;
  if (isPending || decline) {
    const subscription = isFree ? undefined : begin(ledger, sessionId, customer);
    if (!decline) return { outcome: "requires_action" };
    if (subscription) collect(ledger, String(subscription.latest_invoice), { decline });
    const { code, message } = decline;
    return { outcome: "declined", code: (typeof first === "object" && first.declineCode) || code, message };
  }
  const subscription = begin(ledger, sessionId, customer);
  const card = attachCard(ledger, customer, number);
  ledger.change("subscription", subscription.id, { default_payment_method: card.id });
  if (subscription.status === "incomplete") collect(ledger, String(subscription.latest_invoice), { present: true });
  return complete(ledger, sessionId, subscription.id);
}

const failedAuthentication = {
  code: "payment_intent_authentication_failure",
  message: "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
};

/** Creates the subscription of a purchase with its first invoice, unless an earlier attempt has created it. */
function begin(ledger: Ledger, sessionId: string, customer: string): Stripe.Subscription {
  const purchase = ledger.state.purchases[sessionId];
  if (!purchase) throw invalid("This Checkout Session is no longer active.");
  if (purchase.subscription) return ledger.get("subscription", purchase.subscription);
  const items = purchase.items.map(({ price, quantity }) => ({ price: ledger.get("price", price), quantity }));
  const opened = openSubscription(ledger, {
    customer,
    items,
    metadata: purchase.metadata,
    paymentMethod: null,
    trialEnd: purchase.trialDays > 0 ? ledger.now(customer) + purchase.trialDays * DAY : null,
    status: "incomplete",
  });
  const { id } = addDiscounts(ledger, opened, purchase.coupons ?? [], sessionId);
  ledger.set("purchases", sessionId, { ...purchase, subscription: id });
  ledger.emit("customer.subscription.created", ledger.get("subscription", id));
  const invoice = draftInvoice(ledger, ledger.get("subscription", id), "subscription_create");
  finalizeInvoice(ledger, invoice.id);
  if (invoice.amount_due === 0) collect(ledger, invoice.id, { present: true });
  return ledger.get("subscription", id);
}

/** Completes a session whose subscription is paid, in its trial, or free because of a coupon. */
function complete(ledger: Ledger, sessionId: string, subscriptionId: string): CheckoutOutcome {
  const session = ledger.get("checkout.session", sessionId);
  const subscription = ledger.get("subscription", subscriptionId);
  const customer = ledger.get("customer", subscription.customer as string) as Stripe.Customer;
  const invoice = ledger.get("invoice", subscription.latest_invoice as string);
  ledger.change("checkout.session", sessionId, {
    status: "complete",
    url: null,
    subscription: subscription.id,
    invoice: invoice.id,
    payment_status: invoice.amount_due === 0 ? "no_payment_required" : "paid",
    customer_details: {
      address: null,
      business_name: null,
      email: session.customer_email ?? customer.email,
      individual_name: null,
      name: null,
      phone: null,
      tax_exempt: "none",
      tax_ids: [],
    },
  });
  const completed = ledger.emit("checkout.session.completed", ledger.get("checkout.session", sessionId));
  const returnUrl = (session.success_url ?? "").replaceAll("{CHECKOUT_SESSION_ID}", sessionId);
  return { outcome: "complete", returnUrl, eventId: completed.id };
}

function newCustomer(ledger: Ledger, session: Stripe.Checkout.Session): string {
  const customer = blank.customer({
    id: newId("cus", 14),
    created: ledger.now(),
    email: session.customer_email,
    metadata: {},
    test_clock: null,
  });
  ledger.put("customer", customer);
  ledger.emit("customer.created", customer);
  return customer.id;
}

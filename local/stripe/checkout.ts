import type Stripe from "stripe";
import { cardBehaviour, NUMBER } from "./cards";
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

/** Pays an open session with a card: creates the subscription, pays its first invoice and completes the session. */
export function payCheckout(
  ledger: Ledger,
  sessionId: string,
  { number, authenticated }: { number: string; authenticated?: boolean },
): CheckoutOutcome {
  const session = ledger.get("checkout.session", sessionId);
  const purchase = ledger.state.purchases[sessionId];
  if (session.status !== "open" || !purchase) throw invalid("This Checkout Session is no longer active.");
  const behaviour = cardBehaviour(number);
  if (!behaviour) return { outcome: "declined", code: "incorrect_number", message: "Your card number is incorrect." };
  if (typeof behaviour.first === "object") {
    const { declineCode, code, message } = behaviour.first;
    return { outcome: "declined", code: declineCode ?? code, message };
  }
  if (behaviour.first === "authenticate" && authenticated === undefined) return { outcome: "requires_action" };
  if (behaviour.first === "authenticate" && authenticated === false) {
    return {
      outcome: "declined",
      code: "payment_intent_authentication_failure",
      message:
        "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
    };
  }

  const customer = (session.customer as string | null) ?? newCustomer(ledger, session);
  const card = attachCard(ledger, customer, number);
  const now = ledger.now(customer);
  const items = purchase.items.map(({ price, quantity }) => ({ price: ledger.get("price", price), quantity }));
  const trialEnd = purchase.trialDays > 0 ? now + purchase.trialDays * DAY : null;
  const opened = openSubscription(ledger, {
    customer,
    items,
    metadata: purchase.metadata,
    paymentMethod: card.id,
    trialEnd,
    status: "active",
  });
  ledger.emit("customer.subscription.created", {
    ...opened,
    status: trialEnd ? "trialing" : "incomplete",
  } as Stripe.Subscription);
  const invoice = draftInvoice(ledger, opened, "subscription_create");
  finalizeInvoice(ledger, invoice.id);
  collect(ledger, invoice.id, { present: true });
  if (!trialEnd) {
    ledger.emit("customer.subscription.updated", ledger.get("subscription", opened.id), { status: "incomplete" });
  }
  ledger.change("checkout.session", sessionId, {
    status: "complete",
    url: null,
    customer,
    subscription: opened.id,
    invoice: invoice.id,
    payment_status: trialEnd ? "no_payment_required" : "paid",
    customer_details: {
      address: null,
      business_name: null,
      email: session.customer_email ?? (ledger.get("customer", customer) as Stripe.Customer).email,
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

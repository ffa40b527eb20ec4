import type Stripe from "stripe";

/** Type of each kind of object, by Stripe's name of the kind. */
export interface Objects {
  customer: Stripe.Customer | Stripe.DeletedCustomer;
  product: Stripe.Product;
  price: Stripe.Price;
  payment_method: Stripe.PaymentMethod;
  payment_intent: Stripe.PaymentIntent;
  charge: Stripe.Charge;
  refund: Stripe.Refund;
  dispute: Stripe.Dispute;
  subscription: Stripe.Subscription;
  invoice: Stripe.Invoice;
  invoice_payment: Stripe.InvoicePayment;
  "checkout.session": Stripe.Checkout.Session;
  "billing_portal.session": Stripe.BillingPortal.Session;
  "billing_portal.configuration": Stripe.BillingPortal.Configuration;
  webhook_endpoint: Stripe.WebhookEndpoint;
  "test_helpers.test_clock": Stripe.TestHelpers.TestClock;
  event: Stripe.Event;
}

export type Kind = keyof Objects;

/** Content of a Checkout Session that Stripe's session object does not show. */
export interface Purchase {
  items: { price: string; quantity: number }[];
  metadata: Record<string, string>;
  trialDays: number;
  /** The subscription of an earlier payment attempt on the same page. */
  subscription?: string;
}

/** The stored answer to a request with an Idempotency-Key. */
export interface KeptAnswer {
  fingerprint: string;
  status: number;
  body: string;
  requestId: string;
  /** Time of the answer, in milliseconds since the epoch. */
  at: number;
}

/** State that survives a restart. */
export interface State {
  /** In order of creation. The field `created` does not give this order, because it has only seconds. */
  objects: { [K in Kind]: Record<string, Objects[K]> };
  /** Signing secrets by endpoint. Stripe returns them only once. */
  secrets: Record<string, string>;
  purchases: Record<string, Purchase>;
  /**
   * By subscription: number of failed attempts to pay the open invoice, and the times of the next attempt and of the
   * first.
   */
  dunning: Record<string, { failures: number; nextAt: number | null; firstAt: number }>;
  /** Receivers by event: the endpoints that existed when the event happened. */
  audiences: Record<string, string[]>;
  /** Seconds that the default clock is ahead of the wall clock. */
  aheadSeconds: number;
  invoices: number;
}

/** State of an empty account. */
export function emptyState(): State {
  const none = () => ({});
  return {
    objects: {
      customer: none(),
      product: none(),
      price: none(),
      payment_method: none(),
      payment_intent: none(),
      charge: none(),
      refund: none(),
      dispute: none(),
      subscription: none(),
      invoice: none(),
      invoice_payment: none(),
      "checkout.session": none(),
      "billing_portal.session": none(),
      "billing_portal.configuration": none(),
      webhook_endpoint: none(),
      "test_helpers.test_clock": none(),
      event: none(),
    },
    secrets: {},
    purchases: {},
    dunning: {},
    audiences: {},
    aheadSeconds: 0,
    invoices: 0,
  };
}

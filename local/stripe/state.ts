import type Stripe from "stripe";

/** Every kind of object the account holds, by Stripe's name for it. */
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

/** What an open Checkout Session will buy, which its object does not show. */
interface Purchase {
  items: { price: string; quantity: number }[];
  metadata: Record<string, string>;
  trialDays: number;
}

/** An answer kept under its Idempotency-Key. */
export interface KeptAnswer {
  fingerprint: string;
  status: number;
  body: string;
  requestId: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Everything that survives a restart. */
export interface State {
  /** In order of creation, which `created` is too coarse to tell. */
  objects: { [K in Kind]: Record<string, Objects[K]> };
  /** Signing secrets, by endpoint: Stripe shows them once. */
  secrets: Record<string, string>;
  purchases: Record<string, Purchase>;
  /** Of subscriptions: failed attempts of the open invoice, and when the next is due. */
  dunning: Record<string, { failures: number; nextAt: number | null; firstAt: number }>;
  /** The endpoints an event goes to: those there were when it happened. */
  audiences: Record<string, string[]>;
  /** Seconds that the default clock is ahead of the wall's. */
  aheadSeconds: number;
  invoices: number;
}

/** An empty account. */
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

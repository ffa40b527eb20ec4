import type Stripe from "stripe";

/** Object types by Stripe's name of the kind. */
export interface Objects {
  customer: Stripe.Customer | Stripe.DeletedCustomer;
  product: Stripe.Product;
  price: Stripe.Price;
  coupon: Stripe.Coupon;
  discount: Stripe.Discount;
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

/** Data of a Checkout Session that is not in Stripe's session object. */
interface Purchase {
  items: { price: string; quantity: number }[];
  metadata: Record<string, string>;
  trialDays: number;
  coupons?: string[];
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

/** State that survives a restart: the objects of each kind, and data that is not in Stripe's objects. */
export type State = { [K in Kind]: Record<string, Objects[K]> } & {
  /** Signing secrets by endpoint. Stripe returns them only once. */
  secrets: Record<string, string>;
  purchases: Record<string, Purchase>;
  /**
   * Failed payments of the open invoice, by subscription: the number of failed attempts, the time of the next attempt,
   * and the time of the first attempt.
   */
  dunning: Record<string, { failures: number; nextAt: number | null; firstAt: number }>;
  /** Amount paid outside of Stripe, by invoice. */
  paidOffStripe: Record<string, number>;
  /** Receivers by event: the endpoints that existed when the event happened. */
  audiences: Record<string, string[]>;
  /**
   * `aheadSeconds`: seconds that the default clock is ahead of the wall clock. `invoices`: number of invoices so far.
   */
  counters: Record<"aheadSeconds" | "invoices", number>;
};

/**
 * State of an empty account. The key order of each table is the order of creation, because `created` has only seconds.
 */
export function emptyState(): State {
  return {
    customer: {},
    product: {},
    price: {},
    coupon: {},
    discount: {},
    payment_method: {},
    payment_intent: {},
    charge: {},
    refund: {},
    dispute: {},
    subscription: {},
    invoice: {},
    invoice_payment: {},
    "checkout.session": {},
    "billing_portal.session": {},
    "billing_portal.configuration": {},
    webhook_endpoint: {},
    "test_helpers.test_clock": {},
    event: {},
    secrets: {},
    purchases: {},
    dunning: {},
    paidOffStripe: {},
    audiences: {},
    counters: { aheadSeconds: 0, invoices: 0 },
  };
}

import type Stripe from "stripe";
import { behaviourOf } from "./cards";
import { attachCard, type CheckoutOutcome, payCheckout } from "./checkout";
import { decideKonbini, orderAtKonbini, payInvoiceAtKonbini } from "./konbini";
import { DEFAULT_CLOCK, Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import {
  collect,
  decideDispute,
  draftInvoice,
  finalizeInvoice,
  latestCharge,
  makeRefund,
  openDispute,
} from "./payments";
import { invalid } from "./problem";
import { expireSessions, runTime } from "./renewals";
import { currentPeriodEnd, mustLive, rollPeriod, subscriptionOf } from "./subscriptions";

/** A price of the initial catalogue. */
export interface CatalogueEntry {
  priceId: string;
  product: string;
  nickname: string;
  unitAmountYen: number;
  metadata?: Record<string, string>;
}

/** A webhook endpoint and its secret. */
export interface Endpoint {
  id: string;
  url: string;
  secret: string;
  enabledEvents: string[];
  apiVersion: string | null;
  status: string;
}

/**
 * A Stripe account in test mode, with all operations of the API, the pages and the clock. Each method throws
 * StripeProblem when Stripe would refuse the operation.
 */
export class StripeAccount {
  readonly ledger: Ledger;
  /** Base URL of the pages, set when the double listens. */
  baseUrl = "";
  /** Clock of customers created without a test clock. */
  readonly defaultClock = DEFAULT_CLOCK;
  private caughtUpAt: number | undefined;

  constructor(path: string, catalogue: CatalogueEntry[]) {
    this.ledger = new Ledger(path);
    for (const entry of catalogue) this.sell(entry);
  }

  /** Unix seconds of the account's clock: the wall clock plus all advances. */
  now(): number {
    return this.ledger.now();
  }

  /**
   * Expires Checkout Sessions and runs all scheduled actions that are due. Runs at most once a second, because it reads
   * every subscription, and Stripe's times are whole seconds.
   */
  catchUp(): void {
    if (this.caughtUpAt !== this.now()) this.runDue();
  }

  /** Like `catchUp`, but runs at every call. Call this method after a change that makes an action due now. */
  runDue(): void {
    this.caughtUpAt = this.now();
    expireSessions(this.ledger);
    runTime(this.ledger, this.now(), (customer) => this.ledger.ownClock(customer) === undefined);
  }

  /** Advances the account's clock and runs the actions that become due, in order of time. */
  async advance(seconds: number): Promise<void> {
    this.runDue();
    const until = this.now() + seconds;
    runTime(this.ledger, until, (customer) => this.ledger.ownClock(customer) === undefined);
    this.ledger.set("counters", "aheadSeconds", this.ledger.state.counters.aheadSeconds + seconds);
  }

  /** Advances one test clock and runs the actions that become due. */
  advanceClock(id: string, frozenTime: number): Stripe.TestHelpers.TestClock {
    const clock = this.ledger.get("test_helpers.test_clock", id);
    if (frozenTime <= clock.frozen_time)
      throw invalid("The `frozen_time` must be after the clock's current frozen time.", "frozen_time");
    runTime(this.ledger, frozenTime, (customer) => this.ledger.ownClock(customer)?.id === id);
    return this.ledger.change(
      "test_helpers.test_clock",
      id,
      { frozen_time: frozenTime },
      "test_helpers.test_clock.ready",
    );
  }

  /** Returns a test clock, or the account's default clock with its current time. */
  testClock(id: string): Stripe.TestHelpers.TestClock {
    if (id !== DEFAULT_CLOCK) return this.ledger.get("test_helpers.test_clock", id);
    const now = this.now();
    return blank.testClock({
      id,
      created: now,
      frozen_time: now,
      name: "default clock of the double (it follows the wall clock)",
    });
  }

  onEvent(listener: (event: Stripe.Event) => void): () => void {
    return this.ledger.onEvent(listener);
  }

  /** Customers that are not deleted, oldest first. */
  customers(): Stripe.Customer[] {
    return this.ledger.all("customer").filter((customer): customer is Stripe.Customer => !customer.deleted);
  }

  customer(id: string): Stripe.Customer | undefined {
    return this.customers().find((customer) => customer.id === id);
  }

  price(id: string): Stripe.Price | undefined {
    return this.ledger.find("price", id);
  }

  /** Recurring prices that a customer can switch to. */
  prices(): Stripe.Price[] {
    return this.ledger.all("price").filter(({ active, type }) => active && type === "recurring");
  }

  product(id: string): Stripe.Product | undefined {
    return this.ledger.find("product", id);
  }

  checkoutSession(id: string): Stripe.Checkout.Session | undefined {
    this.catchUp();
    return this.ledger.find("checkout.session", id);
  }

  /** Items of an open session. */
  purchase(sessionId: string): { price: Stripe.Price; quantity: number }[] {
    const items = this.ledger.state.purchases[sessionId]?.items ?? [];
    return items.map(({ price, quantity }) => ({ price: this.ledger.get("price", price), quantity }));
  }

  portalSession(id: string): Stripe.BillingPortal.Session | undefined {
    return this.ledger.find("billing_portal.session", id);
  }

  /** Newest first. */
  subscriptionsOf(customer: string): Stripe.Subscription[] {
    this.catchUp();
    return this.ledger
      .all("subscription")
      .filter((one) => one.customer === customer)
      .reverse();
  }

  /** Newest first. */
  invoicesOf(customer: string): Stripe.Invoice[] {
    return this.ledger
      .all("invoice")
      .filter((one) => one.customer === customer)
      .reverse();
  }

  /** The card for later payments. */
  cardOf(customer: string): Stripe.PaymentMethod | undefined {
    return this.ledger.all("payment_method").findLast((method) => method.customer === customer);
  }

  /** Pays an open Checkout Session with one of Stripe's test cards. */
  payCheckout(sessionId: string, card: { number: string; authenticated?: boolean }): CheckoutOutcome {
    this.catchUp();
    return payCheckout(this.ledger, sessionId, card);
  }

  /**
   * Schedules a cancellation at the period's end as Stripe's portal does: sets `cancel_at`, not `cancel_at_period_end`.
   */
  cancelAtPeriodEnd(id: string): Stripe.Subscription {
    this.catchUp();
    const subscription = this.ledger.get("subscription", id);
    mustLive(subscription);
    const now = this.ledger.now(subscription.customer as string);
    return this.ledger.change(
      "subscription",
      id,
      {
        cancel_at: currentPeriodEnd(subscription),
        canceled_at: now,
        cancellation_details: {
          comment: null,
          feedback: null,
          feedback_option: null,
          reason: "cancellation_requested",
        },
      },
      "customer.subscription.updated",
    );
  }

  /** Removes a scheduled cancellation. */
  resume(id: string): Stripe.Subscription {
    this.catchUp();
    mustLive(this.ledger.get("subscription", id));
    return this.ledger.change(
      "subscription",
      id,
      {
        cancel_at: null,
        cancel_at_period_end: false,
        canceled_at: null,
        cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
      },
      "customer.subscription.updated",
    );
  }

  /**
   * Changes the price of a subscription's only item. A higher price is charged at once and starts a new period, without
   * proration.
   */
  changePrice(id: string, priceId: string): Stripe.Subscription {
    this.catchUp();
    const subscription = this.ledger.get("subscription", id);
    mustLive(subscription);
    const price = this.ledger.get("price", priceId, "price");
    const [item] = subscription.items.data;
    if (!item) throw invalid("This subscription has no item.");
    const isHigher = (price.unit_amount ?? 0) > (item.price.unit_amount ?? 0);
    const changed = {
      ...item,
      price,
      plan: { ...item.plan, id: price.id, amount: price.unit_amount, nickname: price.nickname },
    };
    const items = { ...subscription.items, data: [changed] };
    const now = this.ledger.now(subscription.customer as string);
    this.ledger.change(
      "subscription",
      id,
      { items: isHigher ? rollPeriod({ ...subscription, items }, now) : items },
      "customer.subscription.updated",
    );
    if (isHigher && subscription.status === "active") {
      const invoice = draftInvoice(this.ledger, this.ledger.get("subscription", id), "subscription_update");
      finalizeInvoice(this.ledger, invoice.id);
      collect(this.ledger, invoice.id);
    }
    return this.ledger.get("subscription", id);
  }

  /** Sets the card for later payments and pays open invoices with it. */
  replaceCard(customer: string, number: string): Stripe.PaymentMethod {
    this.catchUp();
    const found = this.ledger.get("customer", customer) as Stripe.Customer;
    const card = attachCard(this.ledger, customer, number);
    this.ledger.change(
      "customer",
      customer,
      { invoice_settings: { ...found.invoice_settings, default_payment_method: card.id } },
      "customer.updated",
    );
    for (const { id } of this.subscriptionsOf(customer)) {
      if (this.ledger.get("subscription", id).status !== "canceled")
        this.ledger.change("subscription", id, { default_payment_method: card.id }, "customer.subscription.updated");
    }
    return card;
  }

  /** Pays a customer's open invoices with the current card. Returns false when a payment fails. */
  payOpenInvoices(customer: string): boolean {
    this.catchUp();
    const open = this.invoicesOf(customer)
      .filter(({ status, parent }) => status === "open" && parent !== null)
      .reverse();
    return open.every(({ id }) => {
      const subscription = subscriptionOf(this.ledger, this.ledger.get("invoice", id));
      // At the portal the cardholder is present and authenticates. A card that fails at renewals also fails here.
      const card = this.cardOf(customer);
      const present = card !== undefined && behaviourOf(card).later === "authenticate";
      return subscription?.status === "canceled" || collect(this.ledger, id, { present }).paid;
    });
  }

  /** Issues a payment code for a one-time Checkout Session, or for a subscription's invoice that Stripe has sent. */
  orderAtKonbini(id: string): Stripe.PaymentIntent {
    this.catchUp();
    return id.startsWith("in_") ? payInvoiceAtKonbini(this.ledger, id) : orderAtKonbini(this.ledger, id);
  }

  /** Lets the customer pay a konbini code at the store, or lets the code expire. */
  decideKonbini(paymentIntent: string, outcome: "paid" | "expired"): void {
    decideKonbini(this.ledger, paymentIntent, outcome);
  }

  /** Opens a dispute about the customer's newest payment. */
  disputeLatestCharge(customer: string, reason = "fraudulent"): Stripe.Dispute {
    return openDispute(this.ledger, this.mustHavePaid(customer), reason);
  }

  /** Undecided disputes, oldest first. */
  openDisputes(customer: string): Stripe.Dispute[] {
    const charges = this.ledger.all("charge").filter((charge) => charge.customer === customer);
    return this.ledger
      .all("dispute")
      .filter(({ charge, status }) => !["won", "lost"].includes(status) && charges.some(({ id }) => id === charge));
  }

  closeDispute(id: string, outcome: "won" | "lost"): Stripe.Dispute {
    return decideDispute(this.ledger, id, outcome);
  }

  refundLatestCharge(customer: string): Stripe.Refund {
    return makeRefund(this.ledger, this.mustHavePaid(customer), undefined, "requested_by_customer");
  }

  /** Webhook endpoints with their secrets. */
  webhookEndpoints(): Endpoint[] {
    return this.ledger.all("webhook_endpoint").map(({ id, url, enabled_events, api_version, status }) => ({
      id,
      url,
      secret: this.ledger.state.secrets[id] ?? "",
      enabledEvents: enabled_events,
      apiVersion: api_version,
      status,
    }));
  }

  /** Returns the existing endpoints that must receive an event. */
  audience(eventId: string): Endpoint[] {
    const ids = this.ledger.state.audiences[eventId] ?? [];
    return this.webhookEndpoints().filter(({ id, status }) => ids.includes(id) && status === "enabled");
  }

  /** Records that an endpoint has accepted an event. */
  delivered(eventId: string, endpointId: string): void {
    const left = (this.ledger.state.audiences[eventId] ?? []).filter((id) => id !== endpointId);
    const event = this.ledger.find("event", eventId);
    this.ledger.set("audiences", eventId, left);
    if (event) this.ledger.put("event", { ...event, pending_webhooks: left.length });
  }

  /** Whether every endpoint has accepted an event. */
  isDelivered({ pending_webhooks }: Stripe.Event): boolean {
    return pending_webhooks === 0;
  }

  /** URL of a page. */
  pageUrl(path: string): string {
    return `${this.baseUrl}${path}`;
  }

  attachCard(customer: string, number: string): Stripe.PaymentMethod {
    return attachCard(this.ledger, customer, number);
  }

  /** Saves the state. */
  close(): void {
    this.ledger.close();
  }

  /** The customer's newest charge; undefined when the customer has paid nothing. */
  latestCharge(customer: string): Stripe.Charge | undefined {
    this.catchUp();
    return latestCharge(this.ledger, customer);
  }

  private mustHavePaid(customer: string): Stripe.Charge {
    const charge = this.latestCharge(customer);
    if (!charge) throw invalid("This customer has paid nothing yet.");
    return charge;
  }

  private sell({ priceId, product, nickname, unitAmountYen, metadata = {} }: CatalogueEntry): void {
    if (this.ledger.find("price", priceId)) return;
    const created = this.now();
    const productId = `prod_${priceId}`;
    this.ledger.put(
      "product",
      blank.product({ id: productId, created, name: product, metadata, description: null, active: true }),
    );
    this.ledger.put(
      "price",
      blank.price({
        id: priceId,
        created,
        currency: "jpy",
        product: productId,
        recurring: {
          interval: "month",
          interval_count: 1,
          meter: null,
          trial_period_days: null,
          usage_type: "licensed",
        },
        nickname,
        lookup_key: nickname,
        metadata,
        unit_amount: unitAmountYen,
      }),
    );
  }
}

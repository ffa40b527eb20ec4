import type Stripe from "stripe";

/**
 * Creates Stripe's objects, with default values for fields that the caller omits. The SDK's types check the objects, so
 * a changed shape fails to compile.
 */

/** A list nested in another object. */
export function inlineList<T>(data: T[], url: string): Stripe.ApiList<T> {
  return { object: "list", data, has_more: false, url };
}

/** Stripe formats decimal amounts as text. */
const decimal = (amount: number) => String(amount) as unknown as Stripe.Decimal;

export function product(
  given: Pick<Stripe.Product, "id" | "created" | "name" | "metadata" | "description" | "active">,
): Stripe.Product {
  return {
    object: "product",
    default_price: null,
    images: [],
    livemode: false,
    marketing_features: [],
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    tax_details: null,
    type: "service",
    unit_label: null,
    updated: given.created,
    url: null,
    ...given,
  };
}

export function price(
  given: Pick<
    Stripe.Price,
    "id" | "created" | "currency" | "product" | "recurring" | "nickname" | "lookup_key" | "metadata"
  > & {
    unit_amount: number;
  },
): Stripe.Price {
  return {
    object: "price",
    active: true,
    billing_scheme: "per_unit",
    custom_unit_amount: null,
    livemode: false,
    tax_behavior: "unspecified",
    tiers_mode: null,
    transform_quantity: null,
    type: given.recurring ? "recurring" : "one_time",
    unit_amount_decimal: decimal(given.unit_amount),
    ...given,
  };
}

export function customer(
  given: Pick<Stripe.Customer, "id" | "created" | "email" | "metadata" | "test_clock"> & Partial<Stripe.Customer>,
): Stripe.Customer {
  return {
    object: "customer",
    address: null,
    balance: 0,
    currency: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    invoice_prefix: given.id.slice(-8).toUpperCase(),
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: "none",
    ...given,
  };
}

const nobody: Stripe.PaymentMethod.BillingDetails = {
  address: null,
  email: null,
  name: null,
  phone: null,
  tax_id: null,
};

export function coupon(
  given: Pick<
    Stripe.Coupon,
    "id" | "created" | "amount_off" | "currency" | "duration" | "duration_in_months" | "name" | "percent_off"
  >,
): Stripe.Coupon {
  return {
    object: "coupon",
    livemode: false,
    max_redemptions: null,
    metadata: {},
    redeem_by: null,
    times_redeemed: 0,
    valid: true,
    ...given,
  };
}

export function discount(
  given: Pick<Stripe.Discount, "id" | "checkout_session" | "customer" | "end" | "start" | "subscription"> & {
    coupon: string;
  },
): Stripe.Discount {
  const { coupon: id, ...rest } = given;
  return {
    object: "discount",
    customer_account: null,
    invoice: null,
    invoice_item: null,
    promotion_code: null,
    source: { coupon: id, type: "coupon" },
    subscription_item: null,
    ...rest,
  };
}

export function card(
  given: Pick<Stripe.PaymentMethod, "id" | "created" | "customer" | "metadata"> & { brand: string; last4: string },
): Stripe.PaymentMethod {
  const { brand, last4, ...rest } = given;
  return {
    object: "payment_method",
    allow_redisplay: "always",
    billing_details: nobody,
    customer_account: null,
    livemode: false,
    type: "card",
    card: {
      brand,
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
      country: "JP",
      display_brand: brand,
      exp_month: 12,
      exp_year: 2034,
      fingerprint: `double${last4}`,
      funding: "credit",
      generated_from: null,
      last4,
      networks: { available: [brand], preferred: null },
      regulated_status: "unregulated",
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    ...rest,
  };
}

export function subscriptionItem(
  given: Pick<
    Stripe.SubscriptionItem,
    "id" | "created" | "current_period_start" | "current_period_end" | "price" | "subscription"
  > & { quantity: number },
): Stripe.SubscriptionItem {
  return {
    object: "subscription_item",
    billing_thresholds: null,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: planOf(given.price),
    tax_rates: [],
    ...given,
  };
}

/** The legacy plan object, which subscription items still contain. */
function planOf(from: Stripe.Price): Stripe.Plan {
  const { id, created, currency, nickname, unit_amount, recurring } = from;
  return {
    id,
    object: "plan",
    active: true,
    amount: unit_amount,
    amount_decimal: decimal(unit_amount ?? 0),
    billing_scheme: "per_unit",
    created,
    currency,
    interval: recurring?.interval ?? "month",
    interval_count: recurring?.interval_count ?? 1,
    livemode: false,
    metadata: {},
    meter: null,
    nickname,
    product: typeof from.product === "string" ? from.product : from.product.id,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: "licensed",
  };
}

export function subscription(
  given: Pick<
    Stripe.Subscription,
    | "id"
    | "created"
    | "customer"
    | "currency"
    | "items"
    | "metadata"
    | "status"
    | "test_clock"
    | "default_payment_method"
    | "trial_start"
    | "trial_end"
  >,
): Stripe.Subscription {
  return {
    object: "subscription",
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: given.trial_end ?? given.created,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: { proration_discounts: "included" }, type: "flexible" },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: "charge_automatically",
    customer_account: null,
    days_until_due: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: { payment_method_options: null, payment_method_types: null, save_default_payment_method: "off" },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: given.created,
    transfer_data: null,
    trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: "create_invoice" } },
    ...given,
  };
}

export function invoice(
  given: Pick<
    Stripe.Invoice,
    | "id"
    | "created"
    | "currency"
    | "customer"
    | "customer_email"
    | "billing_reason"
    | "number"
    | "test_clock"
    | "lines"
    | "period_start"
    | "period_end"
    | "discounts"
    | "total_discount_amounts"
    | "collection_method"
    | "automatically_finalizes_at"
  > & { subscription: string; subscriptionMetadata: Record<string, string>; subtotal: number; total: number },
): Stripe.Invoice {
  const { subscription: id, subscriptionMetadata, subtotal, total: amount, ...rest } = given;
  return {
    object: "invoice",
    account_country: "JP",
    account_name: "Snack Misaki",
    account_tax_ids: null,
    amount_due: amount,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: amount,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    custom_fields: null,
    customer_account: null,
    customer_address: null,
    customer_name: null,
    customer_phone: null,
    customer_shipping: null,
    customer_tax_exempt: "none",
    customer_tax_ids: [],
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    due_date: null,
    effective_at: null,
    ending_balance: null,
    footer: null,
    from_invoice: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    livemode: false,
    metadata: {},
    next_payment_attempt: null,
    on_behalf_of: null,
    parent: {
      quote_details: null,
      subscription_details: { metadata: subscriptionMetadata, subscription: id },
      type: "subscription_details",
    },
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: 0,
    statement_descriptor: null,
    status: "draft",
    status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
    subtotal,
    subtotal_excluding_tax: subtotal,
    total: amount,
    total_excluding_tax: amount,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: given.created,
    ...rest,
  };
}

export function invoiceLine(
  given: Pick<Stripe.InvoiceLineItem, "id" | "amount" | "currency" | "description" | "invoice" | "period"> & {
    subscription: string;
    item: string;
    price: Stripe.Price;
    quantity: number;
  },
): Stripe.InvoiceLineItem {
  const { subscription: id, item, price: of, ...rest } = given;
  return {
    object: "line_item",
    discount_amounts: [],
    discountable: true,
    discounts: [],
    livemode: false,
    metadata: {},
    parent: {
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: { credited_items: null },
        subscription: id,
        subscription_item: item,
      },
      type: "subscription_item_details",
    },
    pretax_credit_amounts: [],
    pricing: {
      price_details: { price: of.id, product: typeof of.product === "string" ? of.product : of.product.id },
      type: "price_details",
      unit_amount_decimal: decimal(of.unit_amount ?? 0),
    },
    quantity_decimal: decimal(given.quantity),
    subscription: id,
    subtotal: given.amount,
    taxes: [],
    ...rest,
  };
}

export function lineItem({
  id,
  price,
  quantity,
}: {
  id: string;
  price: Stripe.Price;
  quantity: number;
}): Stripe.LineItem {
  const amount = (price.unit_amount ?? 0) * quantity;
  return {
    id,
    object: "item",
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: amount,
    amount_tax: 0,
    amount_total: amount,
    currency: price.currency,
    description: price.nickname,
    metadata: {},
    price,
    quantity,
  };
}

/** A payment that has not succeeded yet. */
export function invoicePayment(
  given: Pick<Stripe.InvoicePayment, "id" | "created" | "currency" | "invoice" | "amount_requested" | "payment">,
): Stripe.InvoicePayment {
  return {
    object: "invoice_payment",
    amount_paid: null,
    is_default: true,
    livemode: false,
    status: "open",
    status_transitions: { canceled_at: null, paid_at: null },
    ...given,
  };
}

export function paymentIntent(
  given: Pick<
    Stripe.PaymentIntent,
    "id" | "created" | "amount" | "currency" | "customer" | "payment_method" | "description"
  >,
): Stripe.PaymentIntent {
  return {
    object: "payment_intent",
    allowed_payment_method_types: null,
    amount_capturable: 0,
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: "automatic",
    client_secret: `${given.id}_secret_double`,
    confirmation_method: "automatic",
    customer_account: null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: {},
    next_action: null,
    on_behalf_of: null,
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: ["card"],
    payment_record: null,
    processing: null,
    receipt_email: null,
    review: null,
    setup_future_usage: "off_session",
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: "requires_payment_method",
    transfer_data: null,
    transfer_group: null,
    ...given,
  };
}

export function charge(
  given: Pick<
    Stripe.Charge,
    | "id"
    | "created"
    | "amount"
    | "currency"
    | "customer"
    | "payment_intent"
    | "payment_method"
    | "status"
    | "failure_code"
    | "failure_message"
  >,
): Stripe.Charge {
  const paid = given.status === "succeeded";
  return {
    object: "charge",
    amount_captured: paid ? given.amount : 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    calculated_statement_descriptor: "SNACK MISAKI",
    captured: paid,
    description: null,
    disputed: false,
    failure_balance_transaction: null,
    fraud_details: {},
    livemode: false,
    metadata: {},
    on_behalf_of: null,
    outcome: {
      advice_code: null,
      network_advice_code: null,
      network_decline_code: null,
      network_status: paid ? "approved_by_network" : "declined_by_network",
      reason: given.failure_code,
      risk_level: "normal",
      seller_message: paid ? "Payment complete." : "The bank did not return any further details with this decline.",
      type: paid ? "authorized" : "issuer_declined",
    },
    paid,
    payment_method_details: null,
    receipt_email: null,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    transfer_data: null,
    transfer_group: null,
    ...given,
  };
}

export function refund(
  given: Pick<
    Stripe.Refund,
    "id" | "created" | "amount" | "currency" | "charge" | "customer" | "payment_intent" | "payment_method" | "reason"
  >,
): Stripe.Refund {
  return {
    object: "refund",
    balance_transaction: null,
    customer_account: null,
    metadata: {},
    receipt_number: null,
    source_transfer_reversal: null,
    status: "succeeded",
    transfer_reversal: null,
    ...given,
  };
}

export function dispute(
  given: Pick<Stripe.Dispute, "id" | "created" | "amount" | "currency" | "charge" | "payment_intent" | "reason">,
): Stripe.Dispute {
  return {
    object: "dispute",
    balance_transactions: [],
    enhanced_eligibility_types: [],
    evidence: {
      access_activity_log: null,
      billing_address: null,
      cancellation_policy: null,
      cancellation_policy_disclosure: null,
      cancellation_rebuttal: null,
      customer_communication: null,
      customer_email_address: null,
      customer_name: null,
      customer_purchase_ip: null,
      customer_signature: null,
      duplicate_charge_documentation: null,
      duplicate_charge_explanation: null,
      duplicate_charge_id: null,
      enhanced_evidence: {},
      product_description: null,
      receipt: null,
      refund_policy: null,
      refund_policy_disclosure: null,
      refund_refusal_explanation: null,
      service_date: null,
      service_documentation: null,
      shipping_address: null,
      shipping_carrier: null,
      shipping_date: null,
      shipping_documentation: null,
      shipping_tracking_number: null,
      uncategorized_file: null,
      uncategorized_text: null,
    },
    evidence_details: {
      due_by: given.created + 9 * 24 * 3600,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "manual",
    },
    intended_submission_method: null,
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    status: "needs_response",
    ...given,
  };
}

export function checkoutSession(
  given: Pick<
    Stripe.Checkout.Session,
    | "id"
    | "created"
    | "customer"
    | "customer_email"
    | "client_reference_id"
    | "success_url"
    | "cancel_url"
    | "expires_at"
    | "metadata"
    | "currency"
    | "amount_total"
    | "url"
    | "locale"
    | "allow_promotion_codes"
    | "discounts"
    | "mode"
    | "payment_method_types"
  > & { amount_subtotal: number; amount_total: number },
): Stripe.Checkout.Session {
  return {
    object: "checkout.session",
    adaptive_pricing: { enabled: true },
    after_expiration: null,
    allowed_payment_method_types: null,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    currency_conversion: null,
    custom_fields: [],
    custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
    customer_account: null,
    customer_creation: null,
    customer_details: null,
    integration_identifier: null,
    invoice: null,
    invoice_creation: null,
    livemode: false,
    managed_payments: null,
    origin_context: null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: "always",
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_status: "unpaid",
    permissions: null,
    phone_number_collection: { enabled: false },
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: "open",
    submit_type: null,
    subscription: null,
    total_details: { amount_discount: given.amount_subtotal - given.amount_total, amount_shipping: 0, amount_tax: 0 },
    ui_mode: "hosted_page",
    wallet_options: null,
    ...given,
  };
}

export function testClock(
  given: Pick<Stripe.TestHelpers.TestClock, "id" | "created" | "frozen_time" | "name">,
): Stripe.TestHelpers.TestClock {
  return {
    object: "test_helpers.test_clock",
    deletes_after: given.created + 30 * 24 * 3600,
    livemode: false,
    status: "ready",
    status_details: {},
    ...given,
  };
}

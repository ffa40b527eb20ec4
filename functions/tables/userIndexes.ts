/** Names of the users table's indexes; `infra/data.ts` makes them. */
export const userIndexes = {
  /** By `stripe_customer_id`, keys only: a way back from Stripe where no metadata leads. */
  stripeCustomer: "stripe_customer_id",
  /** By `review_queue` and `needs_review_at`, keys only and sparse: the rows the reconciler shall look at. */
  review: "review",
} as const;

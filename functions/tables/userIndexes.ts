/** Names of the users table's indexes, created by `infra/data.ts`. */
export const userIndexes = {
  /** By `stripe_customer_id`, keys only: finds the user of a Stripe customer without metadata. */
  stripeCustomer: "stripe_customer_id",
  /** By `review_queue` and `needs_review_at`, keys only and sparse: rows for the reconciler. */
  review: "review",
} as const;

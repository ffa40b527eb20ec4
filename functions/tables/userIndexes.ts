/** Names of the users table's indexes, created by `infra/data.ts`. */
export const userIndexes = {
  /**
   * Index by `stripe_customer_id`, with keys only. Finds the user of a Stripe customer, even if the customer has no
   * metadata.
   */
  stripeCustomer: "stripe_customer_id",
  /**
   * Index by `review_queue` and `needs_review_at`, with keys only. Contains only the rows that the reconciler reviews.
   */
  review: "review",
} as const;

/**
 * Rate limits of the webhook. They protect against replayed events and against a flood of events about one customer,
 * because each event costs several calls to Stripe. Stripe repeats a refused delivery later, so no event is lost.
 */
export const eventLimits = {
  perEvent: { limit: 20, windowSeconds: 600 },
  perCustomer: { limit: 120, windowSeconds: 60 },
} as const;

import type { Customer } from "./customer";
import { deadlines, isLive, type Policy } from "./entitlement";

/** Delay of the review after a deadline. It gives Stripe time to act on the deadline first. */
const AFTER_DEADLINE_SECONDS = 60;
/** Longest time between two reads of a live subscription. */
const EVERY_SECONDS = 24 * 3600;
/**
 * Interval of the reviews while Stripe does not know the row's customer. An operator may correct the key at any time.
 */
const UNKNOWN_SECONDS = 3600;
/** Retry interval while Stripe has not acted on a passed deadline. Stripe needs about an hour for a renewal. */
const OVERDUE_SECONDS = 3600;

/**
 * Computes the next time at which the reconciler reads a customer from Stripe. This is the earliest of these times: the
 * next deadline, the periodic read of a live subscription, the end of a grant, and the end of a pending step at Stripe.
 * Null when none of these times lies in the future.
 *
 * @param isKnown false when Stripe does not know the row's customer. The row's facts may then be old
 */
export function nextReview(customer: Customer, now: Date, policy: Policy, isKnown = true): Date | null {
  const { subscriptions = [], clock_ahead_seconds: ahead = 0, grant_expires_at, review_by } = customer;
  const seconds = now.getTime() / 1000;
  const times = subscriptions.filter(isLive).flatMap((subscription) => {
    const { ours, stripes } = deadlines(subscription, policy);
    const after = [...ours, ...stripes].map((at) => at - ahead + AFTER_DEADLINE_SECONDS);
    const isOverdue = stripes.some((at) => at - ahead + AFTER_DEADLINE_SECONDS <= seconds);
    return [...after, seconds + (isOverdue ? OVERDUE_SECONDS : EVERY_SECONDS)];
  });
  if (!isKnown) times.push(seconds + UNKNOWN_SECONDS);
  for (const moment of [grant_expires_at, review_by]) if (moment) times.push(Date.parse(moment) / 1000);
  const future = times.filter((at) => at > seconds);
  return future.length > 0 ? new Date(Math.min(...future) * 1000) : null;
}

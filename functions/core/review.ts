import type { Customer } from "./customer";
import { deadlines, isLive, type Policy } from "./entitlement";

/** A deadline is looked at when Stripe has had time to act on it. */
const AFTER_DEADLINE_SECONDS = 60;
/** How often a live subscription is read anew though nothing was heard of it. */
const EVERY_SECONDS = 24 * 3600;
/** How soon it is read again while Stripe has not acted on a deadline that has passed: it takes an hour for a renewal. */
const OVERDUE_SECONDS = 3600;

/**
 * When the reconciler shall read a customer from Stripe again: after the next deadline, from time to time while a
 * subscription lives, and when something that was under way must be over. Null when time alone changes nothing any more.
 */
export function nextReview(customer: Customer, now: Date, policy: Policy): Date | null {
  const { subscriptions = [], clock_ahead_seconds: ahead = 0, grant_expires_at, review_by } = customer;
  const seconds = now.getTime() / 1000;
  const times = subscriptions.filter(isLive).flatMap((subscription) => {
    const { ours, stripes } = deadlines(subscription, policy);
    const after = [...ours, ...stripes].map((at) => at - ahead + AFTER_DEADLINE_SECONDS);
    const isOverdue = stripes.some((at) => at - ahead + AFTER_DEADLINE_SECONDS <= seconds);
    return [...after, seconds + (isOverdue ? OVERDUE_SECONDS : EVERY_SECONDS)];
  });
  for (const moment of [grant_expires_at, review_by]) if (moment) times.push(Date.parse(moment) / 1000);
  const future = times.filter((at) => at > seconds);
  return future.length > 0 ? new Date(Math.min(...future) * 1000) : null;
}

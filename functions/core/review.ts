import type { Customer } from "./customer";
import { deadlines, isLive, type Policy } from "./entitlement";

/** A deadline is looked at when Stripe has had time to act on it. */
const AFTER_DEADLINE_SECONDS = 60;
/** How often a live subscription is read anew though nothing was heard of it. */
const EVERY_SECONDS = 24 * 3600;
/** How soon it is read again while Stripe has not acted on a deadline that has passed: it takes an hour for a renewal. */
const OVERDUE_SECONDS = 3600;

/**
 * When the reconciler shall read a customer from Stripe again: after the next deadline, and from time to time while a
 * subscription lives. Null when time alone changes nothing any more.
 */
export function nextReview(customer: Customer, now: Date, policy: Policy): Date | null {
  const { subscriptions = [], clock_ahead_seconds: ahead = 0, grant_expires_at } = customer;
  const seconds = now.getTime() / 1000;
  const times = subscriptions.filter(isLive).flatMap((subscription) => {
    const ends = deadlines(subscription, policy).map((at) => at - ahead + AFTER_DEADLINE_SECONDS);
    const isOverdue = ends.some((at) => at <= seconds);
    return [...ends.filter((at) => at > seconds), seconds + (isOverdue ? OVERDUE_SECONDS : EVERY_SECONDS)];
  });
  const grantEnd = grant_expires_at ? Date.parse(grant_expires_at) / 1000 : 0;
  if (grantEnd > seconds) times.push(grantEnd);
  return times.length > 0 ? new Date(Math.min(...times) * 1000) : null;
}

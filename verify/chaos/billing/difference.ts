import type { Customer } from "../../../functions/core/customer";
import { deadlines, type Entitlement, entitlement, type Policy } from "../../../functions/core/entitlement";

/** A moment at which a row and Stripe's state give different entitlements. */
export interface Difference {
  at: Date;
  expected: Entitlement;
  got: Entitlement;
}

const SECOND_MS = 1000;
/**
 * Moments to check after a deadline: the deadline itself, one second later, and 24 hours later. A late renewal event
 * can take up to 24 hours.
 */
const AFTER_MS = [0, SECOND_MS, 24 * 3600 * SECOND_MS];

/**
 * Compares the entitlements of the expected customer and of the customer in the row, now and around each future
 * deadline of both customers.
 *
 * @returns the first difference in plan, reason or end; undefined for equal results
 */
export function firstDifference(
  expectedCustomer: Customer,
  row: Customer,
  now: Date,
  policy: Policy,
): Difference | undefined {
  const future = [expectedCustomer, row]
    .flatMap(({ subscriptions = [] }) => subscriptions)
    .flatMap((subscription) => Object.values(deadlines(subscription, policy)).flat())
    .flatMap((seconds) => AFTER_MS.map((after) => seconds * SECOND_MS + after))
    .filter((at) => at > now.getTime())
    .toSorted((one, other) => one - other);
  for (const at of [now, ...future.map((ms) => new Date(ms))]) {
    const expected = entitlement(expectedCustomer, at, policy);
    const got = entitlement(row, at, policy);
    if (!isSame(expected, got)) return { at, expected, got };
  }
  return undefined;
}

function isSame(one: Entitlement, other: Entitlement): boolean {
  return (
    one.plan === other.plan && one.reason === other.reason && one.expiresAt?.getTime() === other.expiresAt?.getTime()
  );
}

import type { Customer } from "../../../functions/core/customer";
import { deadlines, type Entitlement, entitlement, type Policy } from "../../../functions/core/entitlement";

/** A moment at which a row gives something else than Stripe's own state does. */
export interface Difference {
  at: Date;
  expected: Entitlement;
  got: Entitlement;
}

const SECOND_MS = 1000;
/** After a deadline: the second itself, the next one, and when the leeway for late news of a renewal is over. */
const AFTER_MS = [0, SECOND_MS, 24 * 3600 * SECOND_MS];

/**
 * Compares what two customers are given, now and around every deadline that lies ahead of either.
 *
 * @returns the first difference in plan, reason or end; undefined when there is none
 */
export function difference(truth: Customer, row: Customer, now: Date, policy: Policy): Difference | undefined {
  const ahead = [truth, row]
    .flatMap(({ subscriptions = [] }) => subscriptions)
    .flatMap((subscription) => Object.values(deadlines(subscription, policy)).flat())
    .flatMap((seconds) => AFTER_MS.map((after) => seconds * SECOND_MS + after))
    .filter((at) => at > now.getTime())
    .toSorted((one, other) => one - other);
  for (const at of [now, ...ahead.map((ms) => new Date(ms))]) {
    const expected = entitlement(truth, at, policy);
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

import type { Customer, StripeFacts } from "../../../functions/core/customer";
import type { Policy } from "../../../functions/core/entitlement";
import { nextReview } from "../../../functions/core/review";
import { type SyncOptions, syncCustomer } from "../../../functions/core/sync";
import { matters } from "../../../functions/stripe/event";
import type { Invocation } from "./invocation";
import { type Row, syncRows } from "./row";
import type { StripeEvent } from "./scenario";
import {
  decisiveSubscriptions,
  factsOf,
  needsInvoices,
  newCustomer,
  type StripeState,
  subscriptionFacts,
} from "./stripeState";
import { prices } from "./transitions";

/** The policy of every run. */
export const policy: Policy = { prices: { paid: prices.paid, vip: prices.vip }, graceDays: 7 };

/** Everything that a strategy can read and write. */
export interface Environment {
  row: Row;
  /** Current state of a customer at Stripe. */
  stripe(customerId: string): StripeState;
  now(): Date;
}

/**
 * A way to update a row from Stripe's events. The weaker strategies also get redeliveries and a reconciler, so that all
 * their errors come from their own logic. Both methods throw the errors of the invocation.
 */
export interface Strategy {
  handle(event: StripeEvent, invocation: Invocation): Promise<void>;
  /** Updates the row without an event. Undefined for a strategy that always needs an event. */
  refresh?(invocation: Invocation, options?: SyncOptions): Promise<void>;
}

/** The production code, with a row and Stripe's state in memory. */
export function production(environment: Environment, isFenced: boolean): Strategy {
  const refresh = async (invocation: Invocation, options?: SyncOptions): Promise<void> => {
    const sources = {
      rows: syncRows(environment.row, invocation, isFenced),
      readFacts: (customerId: string) => readFacts(environment, customerId, invocation),
      policy,
      now: environment.now,
      alarm: () => {},
    };
    await syncCustomer(environment.row.customer.user_id, sources, options);
  };
  return {
    refresh,
    async handle({ account }, invocation) {
      const type = "customer.subscription.updated";
      if (matters(account ? { type, account } : { type })) await refresh(invocation);
    },
  };
}

/** Weaker strategy that copies the payload of each event to the row. The last write wins. */
export function payloadLastWrite({ row, now }: Environment): Strategy {
  return {
    handle: ({ payload }, invocation) =>
      invocation.table(() => row.write({ facts: factsOf(payload), knownPlans: {}, reviewAt: null, now: now() })),
  };
}

/**
 * Weaker strategy that also copies payloads, but ignores an event that is older than the newest copied event. The ids
 * decide the order of events in the same second.
 */
export function createdThenId({ row, now }: Environment): Strategy {
  let latest: StripeEvent | undefined;
  return {
    handle: (event, invocation) =>
      invocation.table(() => {
        if (latest && !isNewer(event, latest)) return;
        latest = event;
        row.write({ facts: factsOf(event.payload), knownPlans: {}, reviewAt: null, now: now() });
      }),
  };
}

/** Weaker strategy that reads the current state from Stripe, like production, but writes without a condition. */
export function refetchNoFence(environment: Environment): Strategy {
  const { row, now } = environment;
  const refresh = async (invocation: Invocation): Promise<void> => {
    const before: Customer = await invocation.table(() => row.customer);
    // A customer that Stripe does not know is treated as a customer without a subscription.
    const facts = (await readFacts(environment, before.stripe_customer_id ?? "", invocation)) ?? factsOf(newCustomer);
    const reviewAt = nextReview({ ...before, ...facts }, now(), policy);
    await invocation.table(() => row.write({ facts, knownPlans: {}, reviewAt, now: now() }));
  };
  return { handle: (_, invocation) => refresh(invocation), refresh };
}

/**
 * Reads Stripe in several calls, like production. Stripe's state may change between the calls.
 *
 * @returns undefined while the key belongs to another account. That account does not know the customer
 */
async function readFacts(
  { stripe }: Environment,
  customerId: string,
  invocation: Invocation,
): Promise<StripeFacts | undefined> {
  const state = () => stripe(customerId);
  if (!(await invocation.knowsCustomer())) return undefined;
  const [deleted, subscriptions, disputed] = await Promise.all([
    invocation.stripe(() => state().deleted),
    invocation.stripe(() => decisiveSubscriptions(state().subscriptions)),
    invocation.stripe(() => state().disputes.length > 0),
  ]);
  const [facts, disputes] = await Promise.all([
    Promise.all(
      subscriptions.map(async (one) => {
        if (!needsInvoices(one)) return subscriptionFacts(one, one);
        const now = () => state().subscriptions.find(({ id }) => id === one.id) ?? one;
        const [open, paid] = await Promise.all([invocation.stripe(now), invocation.stripe(now)]);
        return subscriptionFacts(one, { open_invoices: open.open_invoices, paid: paid.paid });
      }),
    ),
    disputed ? invocation.stripe(() => [...state().disputes]) : [],
  ]);
  return { subscriptions: facts, disputes, customer_deleted: deleted, clock_ahead_seconds: 0 };
}

function isNewer(one: StripeEvent, other: StripeEvent): boolean {
  return one.created > other.created || (one.created === other.created && one.id > other.id);
}

import type { Customer, StripeFacts } from "../../../functions/core/customer";
import type { Policy } from "../../../functions/core/entitlement";
import { nextReview } from "../../../functions/core/review";
import { type SyncOptions, syncCustomer } from "../../../functions/core/sync";
import type { Invocation } from "./invocation";
import { prices } from "./moves";
import { type Row, syncRows } from "./rows";
import type { StripeEvent } from "./story";
import { factsOf, type StripeState, subscriptionFacts, telling } from "./stripeState";

/** The policy of every run. */
export const policy: Policy = { prices: { paid: prices.paid, vip: prices.vip }, graceDays: 7 };

/** What a strategy is given. */
export interface Scene {
  row: Row;
  /** What Stripe has of a customer now. */
  stripe(customerId: string): StripeState;
  now(): Date;
}

/**
 * A way from Stripe's events to a row. The weaker ones, too, get every failed delivery again, and a reconciler: what they
 * get wrong is by their own logic. Both methods throw what the invocation throws.
 */
export interface Strategy {
  /** Handles one event. */
  handle(event: StripeEvent, invocation: Invocation): Promise<void>;
  /** Handles "something may have changed"; undefined for who needs an event to know anything. */
  refresh?(invocation: Invocation, options?: SyncOptions): Promise<void>;
}

/** The production code, on ports in memory. */
export function production(scene: Scene, isFenced: boolean): Strategy {
  const refresh = async (invocation: Invocation, options?: SyncOptions): Promise<void> => {
    const sources = {
      rows: syncRows(scene.row, invocation, isFenced),
      readFacts: (customerId: string) => readFacts(scene, customerId, invocation),
      policy,
      now: scene.now,
      alarm: () => {},
    };
    await syncCustomer(scene.row.customer.user_id, sources, options);
  };
  return { handle: (_, invocation) => refresh(invocation), refresh };
}

/** Weaker: the row is what the event says, and the last to write wins. */
export function payloadLastWrite({ row, now }: Scene): Strategy {
  return {
    handle: ({ payload }, invocation) =>
      invocation.table(() => row.write({ facts: factsOf(payload), knownPlans: {}, reviewAt: null, now: now() })),
  };
}

/** Weaker: the same, but an event that is older than the one in the row is left out. Ids break ties. */
export function createdThenId({ row, now }: Scene): Strategy {
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

/** Weaker: reads from Stripe what is true now, like production, and writes it with nothing to keep the order. */
export function refetchNoFence(scene: Scene): Strategy {
  const { row, now } = scene;
  const refresh = async (invocation: Invocation): Promise<void> => {
    const before: Customer = await invocation.table(() => row.customer);
    const facts = await readFacts(scene, before.stripe_customer_id ?? "", invocation);
    const reviewAt = nextReview({ ...before, ...facts }, now(), policy);
    await invocation.table(() => row.write({ facts, knownPlans: {}, reviewAt, now: now() }));
  };
  return { handle: (_, invocation) => refresh(invocation), refresh };
}

/** Reads as production does: not at one moment, but in several calls, between which Stripe moves on. */
async function readFacts({ stripe }: Scene, customerId: string, invocation: Invocation): Promise<StripeFacts> {
  const state = () => stripe(customerId);
  const [deleted, subscriptions, disputed] = await Promise.all([
    invocation.stripe(() => state().deleted),
    invocation.stripe(() => telling(state().subscriptions)),
    invocation.stripe(() => state().disputes.length > 0),
  ]);
  const [facts, disputes] = await Promise.all([
    Promise.all(
      subscriptions.map(async (one) => {
        if (one.status !== "past_due") return subscriptionFacts(one, []);
        const open = () => state().subscriptions.find(({ id }) => id === one.id)?.open_invoices ?? [];
        return subscriptionFacts(one, await invocation.stripe(open));
      }),
    ),
    disputed ? invocation.stripe(() => [...state().disputes]) : [],
  ]);
  return { subscriptions: facts, disputes, customer_deleted: deleted, clock_ahead_seconds: 0 };
}

function isNewer(one: StripeEvent, other: StripeEvent): boolean {
  return one.created > other.created || (one.created === other.created && one.id > other.id);
}

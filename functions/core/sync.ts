import type { Customer, KnownPlan, StripeFacts } from "./customer";
import { currentSubscription, type Entitlement, entitlement, isLive, type Policy, planOfPrices } from "./entitlement";
import { nextReview } from "./review";

/** What a row is set to, apart from the facts. */
export interface SyncWrite {
  /** Undefined leaves the facts as they are: the customer is unknown to Stripe. */
  facts: StripeFacts | undefined;
  /**
   * Added to those the row has, by subscription id, which keeps the others: a sync with a lower ticket may have written
   * what this one, started before that, does not know of.
   */
  knownPlans: Record<string, KnownPlan>;
  /** What follows from them now, for whoever looks at the table. */
  entitlement: Entitlement;
  stripeStatus: string | null;
  stripeSubscriptionId: string | null;
  /** When the reconciler shall come back, or null. */
  reviewAt: Date | null;
  now: Date;
}

/** The customers' rows, as the sync uses them. */
export interface SyncRows {
  /**
   * Gives the row's next ticket number, and the row as it is after that. Makes the row if there is none.
   *
   * @param reviewBy set in the row at once, so that no later sync can do without it
   */
  takeTicket(userId: string, now: Date, reviewBy?: Date): Promise<{ ticket: number; customer: Customer }>;
  /** Writes unless a higher ticket has written already: then false. */
  apply(userId: string, ticket: number, write: SyncWrite): Promise<boolean>;
  /** The row now. */
  get(userId: string): Promise<Customer | undefined>;
}

/** What the sync works with. */
export interface SyncSources {
  rows: SyncRows;
  /** Reads everything a plan follows from, from Stripe, now. */
  readFacts(stripeCustomerId: string, now: Date): Promise<StripeFacts>;
  policy: Policy;
  now(): Date;
  /** Tells the operator of something that must not go unseen. */
  alarm(alarm: string, detail: Record<string, unknown>): void;
}

/** What a sync was asked for beside the usual. */
export interface SyncOptions {
  /** The reconciler comes back at this time at the latest: something is under way at Stripe. */
  reviewBy?: Date;
}

/** One sync's outcome. */
export interface Synced {
  customer: Customer;
  /** False when a sync that started later had already written what it read. */
  applied: boolean;
}

/**
 * The one way from Stripe to a row, whoever asks: take a ticket, read Stripe, write unless a later ticket has written.
 * What an event says and in which order events come decides nothing, so it may run at any time, any number of times, at
 * once with others, and stop between any two steps. The last change at Stripe has an event, whose sync takes its ticket
 * after that change and so reads the final state; no lower ticket can overwrite it.
 *
 * @throws whatever the sources throw; the row is then as it was
 */
export async function syncCustomer(
  userId: string,
  sources: SyncSources,
  { reviewBy }: SyncOptions = {},
): Promise<Synced> {
  const { rows, policy } = sources;
  const { ticket, customer: before } = await rows.takeTicket(userId, sources.now(), reviewBy);
  const read = before.stripe_customer_id && (await sources.readFacts(before.stripe_customer_id, sources.now()));
  const now = sources.now();
  const facts = read || undefined;
  const knownPlans = facts ? plansKnownNow(facts, policy) : {};
  const customer: Customer = {
    ...before,
    ...facts,
    known_plans: { ...before.known_plans, ...knownPlans },
    ...(facts && { synced_at: now.toISOString() }),
    updated_at: now.toISOString(),
  };
  const current = currentSubscription(customer);
  const write: SyncWrite = {
    facts,
    knownPlans,
    entitlement: entitlement(customer, now, policy),
    stripeStatus: current?.status ?? null,
    stripeSubscriptionId: current?.id ?? null,
    reviewAt: nextReview(customer, now, policy),
    now,
  };
  warn(customer, policy, sources);
  if (await rows.apply(userId, ticket, write)) return { customer, applied: true };
  return { customer: (await rows.get(userId)) ?? customer, applied: false };
}

/** What the prices of the subscriptions stand for, where the configuration knows. */
function plansKnownNow({ subscriptions }: StripeFacts, policy: Policy): Record<string, KnownPlan> {
  const known = subscriptions.flatMap(({ id, price_ids }): [string, KnownPlan][] => {
    const plan = planOfPrices(price_ids, policy);
    return plan ? [[id, { plan, price_ids }]] : [];
  });
  return Object.fromEntries(known);
}

const knownStatuses = ["trialing", "active", "past_due", "unpaid", "incomplete", "paused"];

function warn(customer: Customer, policy: Policy, { alarm }: SyncSources): void {
  const live = customer.subscriptions?.filter(isLive) ?? [];
  const ids = live.map(({ id }) => id);
  if (live.length > 1) alarm("two_live_subscriptions", { subscriptions: ids });
  for (const { id, status, price_ids } of live) {
    if (!knownStatuses.includes(status)) alarm("unknown_status", { subscription: id, status });
    if (!planOfPrices(price_ids, policy)) alarm("unknown_price", { subscription: id, prices: price_ids });
  }
}

import type { AlarmCode } from "./alarmCodes";
import type { Customer, KnownPlan, StripeFacts } from "./customer";
import {
  currentSubscription,
  type Entitlement,
  entitlement,
  isLive,
  isOpenDispute,
  type Policy,
  planOfPrices,
} from "./entitlement";
import { nextReview } from "./review";

/** Values that one sync writes to a row. */
export interface SyncWrite {
  /**
   * Undefined when the row has no Stripe customer, or when Stripe does not know the customer. The row then keeps its
   * facts.
   */
  facts: StripeFacts | undefined;
  /**
   * Known plans to merge into the row, by subscription id. Entries of other subscriptions stay, because an earlier sync
   * may have read subscriptions that this sync does not see.
   */
  knownPlans: Record<string, KnownPlan>;
  /** The entitlement at this moment, stored for people who look at the table. */
  entitlement: Entitlement;
  stripeStatus: string | null;
  stripeSubscriptionId: string | null;
  /** Next review by the reconciler, or null. */
  reviewAt: Date | null;
  now: Date;
}

/** The operations on customers' rows that the sync needs. */
export interface SyncRows {
  /**
   * Increments the row's sync ticket (a sequence number) and creates the row if necessary. Returns the sync ticket and
   * the row.
   *
   * @param reviewBy is stored in the row at once, so that no later sync removes it
   */
  takeTicket(userId: string, now: Date, reviewBy?: Date): Promise<{ ticket: number; customer: Customer }>;
  /** Writes to the row. If a sync with a higher ticket has already written, writes nothing and returns false. */
  apply(userId: string, ticket: number, write: SyncWrite): Promise<boolean>;
  /** The current row. */
  get(userId: string): Promise<Customer | undefined>;
}

/** Dependencies of the sync. */
export interface SyncSources {
  rows: SyncRows;
  /** Reads the current facts from Stripe. Undefined when Stripe does not know the customer's id. */
  readFacts(stripeCustomerId: string, now: Date): Promise<StripeFacts | undefined>;
  policy: Policy;
  now(): Date;
  /** Reports a condition that an operator must see. */
  alarm(alarm: AlarmCode, detail: Record<string, unknown>): void;
}

/** Options of one sync. */
export interface SyncOptions {
  /** The reconciler reviews the row at this time at the latest, because a step at Stripe is pending. */
  reviewBy?: Date;
}

/** Outcome of one sync. */
export interface Synced {
  customer: Customer;
  /** False when a sync that started later has already written. */
  applied: boolean;
  /** False when Stripe does not know the row's customer. The facts are then from an earlier sync. */
  isKnown: boolean;
}

/**
 * Copies a customer's facts from Stripe into the customer's row. The webhook, the reconciler, the API and the admin
 * function use this sync. Steps: take a sync ticket, read Stripe, and write unless a later sync ticket has written.
 *
 * The content and order of events do not matter. A sync may run at any time, repeatedly and concurrently, and may stop
 * between any two steps. Reason: the newest change at Stripe causes an event. This event's sync takes its ticket after
 * the change, so it reads the final state. No lower ticket can overwrite that state.
 *
 * @throws any error of the sources; the row's facts and plan are then unchanged
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
  // With the key of a wrong Stripe account, every customer is unknown. All customers must then keep their plans.
  const isKnown = facts !== undefined || !before.stripe_customer_id;
  if (!isKnown) sources.alarm("unknown_customer", { customer: before.stripe_customer_id });
  const knownPlans = facts ? knownPlansOf(facts, policy) : {};
  const customer: Customer = {
    ...before,
    ...facts,
    known_plans: { ...before.known_plans, ...knownPlans },
    ...(facts && { synced_at: now.toISOString() }),
    updated_at: now.toISOString(),
  };
  const current = currentSubscription(customer, now, policy);
  const write: SyncWrite = {
    facts,
    knownPlans,
    entitlement: entitlement(customer, now, policy),
    stripeStatus: current?.status ?? null,
    stripeSubscriptionId: current?.id ?? null,
    reviewAt: nextReview(customer, now, policy, isKnown),
    now,
  };
  raiseAlarms(customer, policy, sources);
  if (await rows.apply(userId, ticket, write)) return { customer, applied: true, isKnown };
  return { customer: (await rows.get(userId)) ?? customer, applied: false, isKnown };
}

/** Returns the plans that the current configuration assigns to the subscriptions' prices. */
function knownPlansOf({ subscriptions }: StripeFacts, policy: Policy): Record<string, KnownPlan> {
  const known = subscriptions.flatMap(({ id, price_ids }): [string, KnownPlan][] => {
    const plan = planOfPrices(price_ids, policy);
    return plan ? [[id, { plan, price_ids }]] : [];
  });
  return Object.fromEntries(known);
}

const knownStatuses = ["trialing", "active", "past_due", "unpaid", "incomplete", "paused"];

function raiseAlarms(customer: Customer, policy: Policy, { alarm }: SyncSources): void {
  const live = customer.subscriptions?.filter(isLive) ?? [];
  const ids = live.map(({ id }) => id);
  if (live.length > 1) alarm("two_live_subscriptions", { subscriptions: ids });
  for (const { id, status, price_ids } of live) {
    if (!knownStatuses.includes(status)) alarm("unknown_status", { subscription: id, status });
    if (!planOfPrices(price_ids, policy)) alarm("unknown_price", { subscription: id, prices: price_ids });
  }
  for (const dispute of customer.disputes ?? []) {
    if (isOpenDispute(dispute)) alarm("open_dispute", { dispute: dispute.id, status: dispute.status });
  }
}

import type { Customer, StripeFacts } from "./customer";
import { currentSubscription, type Entitlement, entitlement, isLive, type Policy, planOfPrices } from "./entitlement";
import { nextReview } from "./review";

/** What a row is set to, apart from the facts. */
export interface SyncWrite {
  /** Undefined leaves the facts as they are: the customer is unknown to Stripe. */
  facts: StripeFacts | undefined;
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
  /** Gives the row's next ticket number, and the row as it is after that. Makes the row if there is none. */
  takeTicket(userId: string, now: Date): Promise<{ ticket: number; customer: Customer }>;
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
  const { ticket, customer: before } = await rows.takeTicket(userId, sources.now());
  const read = before.stripe_customer_id && (await sources.readFacts(before.stripe_customer_id, sources.now()));
  const now = sources.now();
  const facts = read ? withKnownPlans(read, before, policy) : undefined;
  const customer: Customer = {
    ...before,
    ...facts,
    ...(facts && { synced_at: now.toISOString() }),
    updated_at: now.toISOString(),
  };
  const current = currentSubscription(customer);
  const review = nextReview(customer, now, policy);
  const write: SyncWrite = {
    facts,
    entitlement: entitlement(customer, now, policy),
    stripeStatus: current?.status ?? null,
    stripeSubscriptionId: current?.id ?? null,
    reviewAt: reviewBy && (!review || reviewBy < review) ? reviewBy : review,
    now,
  };
  warn(customer, policy, sources);
  if (await rows.apply(userId, ticket, write)) return { customer, applied: true };
  return { customer: (await rows.get(userId)) ?? customer, applied: false };
}

/**
 * Keeps what a subscription's price stood for when that was last known. A price that the configuration has lost stays
 * what it was; one that it has never known, on a subscription that was good, must not lock out a payer, nor make a VIP.
 */
function withKnownPlans(facts: StripeFacts, before: Customer, policy: Policy): StripeFacts {
  const subscriptions = facts.subscriptions.map((subscription) => {
    const earlier = before.subscriptions?.find(({ id }) => id === subscription.id);
    const samePrices = earlier?.price_ids.join() === subscription.price_ids.join();
    const kept = samePrices ? earlier?.known_plan : earlier?.known_plan && "paid";
    const plan = planOfPrices(subscription.price_ids, policy) ?? kept;
    return plan ? { ...subscription, known_plan: plan } : subscription;
  });
  return { ...facts, subscriptions };
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

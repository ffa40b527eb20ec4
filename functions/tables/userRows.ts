import { randomUUID } from "node:crypto";
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import type { Plan } from "../../contract/plan";
import { type Customer, StripeFacts } from "../core/customer";
import type { SyncRows } from "../core/sync";
import { awsClientLimits, dependency } from "../lib/dependency";
import { userIndexes } from "./userIndexes";
import { createUsers, parseRow } from "./users";

/** The only partition of `review_queue`. It takes a thousand writes per second, far more than reviews need. */
const REVIEW_QUEUE = "stripe";

/** Attributes of a row that come from Stripe. */
const stripeAttributes = [
  "stripe_customer_id",
  ...Object.keys(StripeFacts.shape),
  "synced_at",
  "plan",
  "expires_at",
  "stripe_status",
  "stripe_subscription_id",
];

/** All writes to the `users` table. Each method throws ApiError `unavailable` when the table does not answer. */
export interface UserRows extends SyncRows {
  /**
   * Links a Stripe customer to a row. Returns the Stripe customer of the row afterwards. If a concurrent request linked
   * another customer first, this is that other customer. Undefined when another user already has this Stripe customer:
   * one payment must not give two users a plan.
   *
   * @param replacing a Stripe customer that is deleted or unknown; a row linked to it is linked to the new customer
   */
  link(userId: string, stripeCustomerId: string, now: Date, replacing?: string): Promise<string | undefined>;
  /**
   * Removes the link to a Stripe customer and all facts read from Stripe. Running syncs of the row write nothing
   * afterwards. A grant stays.
   */
  unlink(userId: string, now: Date): Promise<void>;
  /**
   * Returns the id of the current attempt to create the user's Stripe customer. All requests share the attempt, so that
   * Stripe creates one customer.
   *
   * @param failed an attempt that Stripe answered with an error. A new attempt replaces it unless this has already
   *   happened
   */
  creationAttempt(userId: string, now: Date, failed?: string): Promise<string>;
  /** Sets or removes (`plan` null) an operator's grant. The next sync updates the cached plan. */
  grant(userId: string, grant: { plan: Plan | null; expiresAt?: Date; note?: string }, now: Date): Promise<void>;
  /** The user linked to a Stripe customer, or undefined. */
  findByStripeCustomer(stripeCustomerId: string): Promise<string | undefined>;
  /** Users to review now, the longest overdue first. */
  due(now: Date): AsyncIterable<string>;
  /** The parsed customer and the raw row. For operators. */
  inspect(userId: string): Promise<{ customer: Customer | undefined; row: Record<string, unknown> | null }>;
  /** Every user with a Stripe customer. */
  withStripeCustomer(): AsyncIterable<string>;
}

/** The `users` table for functions that write to it. A sync changes only one row, with UpdateItem and conditions. */
export function createUserRows(tableName: string): UserRows {
  const client = new DynamoDBClient(awsClientLimits);
  const get = createUsers(tableName);

  /** Updates a row. Returns undefined when the condition is false. */
  async function update(userId: string, input: Omit<UpdateItemCommandInput, "TableName" | "Key">) {
    const command = new UpdateItemCommand({ TableName: tableName, Key: { user_id: { S: userId } }, ...input });
    const sent = client.send(command).catch((error: unknown) => {
      if (error instanceof ConditionalCheckFailedException) return undefined;
      throw error;
    });
    return dependency("users table", sent);
  }

  async function takeTicket(userId: string, now: Date, reviewBy?: Date) {
    const updated = await update(userId, {
      // The map must exist before `apply` sets an entry in it.
      UpdateExpression: `SET created_at = if_not_exists(created_at, :now), known_plans = if_not_exists(known_plans, :none)${
        reviewBy ? ", review_by = :by" : ""
      } ADD sync_ticket :one`,
      ExpressionAttributeValues: marshall({
        ":now": now.toISOString(),
        ":none": {},
        ":one": 1,
        ...(reviewBy && { ":by": reviewBy.toISOString() }),
      }),
      ReturnValues: "ALL_NEW",
    });
    const row = updated?.Attributes ?? {};
    return { ticket: Number(row.sync_ticket?.N), customer: parseRow(row) };
  }

  async function findByStripeCustomer(stripeCustomerId: string): Promise<string | undefined> {
    const query = new QueryCommand({
      TableName: tableName,
      IndexName: userIndexes.stripeCustomer,
      KeyConditionExpression: "stripe_customer_id = :customer",
      ExpressionAttributeValues: { ":customer": { S: stripeCustomerId } },
    });
    const { Items = [] } = await dependency("users table", client.send(query));
    return Items[0]?.user_id?.S;
  }

  async function creationAttempt(userId: string, now: Date, failed?: string): Promise<string> {
    const chosen = failed ? ":next" : "if_not_exists(creation_attempt, :next)";
    const updated = await update(userId, {
      UpdateExpression: `SET creation_attempt = ${chosen}, created_at = if_not_exists(created_at, :now)`,
      ...(failed && { ConditionExpression: "creation_attempt = :failed" }),
      ExpressionAttributeValues: marshall({
        ":next": randomUUID(),
        ":now": now.toISOString(),
        ...(failed && { ":failed": failed }),
      }),
      ReturnValues: "ALL_NEW",
    });
    const current = updated?.Attributes?.creation_attempt?.S;
    // Undefined when another request has already replaced the failed attempt.
    return current ?? creationAttempt(userId, now);
  }

  return {
    get,
    takeTicket,
    findByStripeCustomer,
    creationAttempt,

    async apply(userId, ticket, { facts, knownPlans, entitlement, stripeStatus, stripeSubscriptionId, reviewAt, now }) {
      const set: Record<string, unknown> = {
        ...facts,
        ...(facts && { synced_at: now.toISOString() }),
        plan: entitlement.plan,
        expires_at: entitlement.expiresAt?.toISOString() ?? null,
        stripe_status: stripeStatus,
        stripe_subscription_id: stripeSubscriptionId,
        updated_at: now.toISOString(),
        applied_ticket: ticket,
        ...(reviewAt && { review_queue: REVIEW_QUEUE, needs_review_at: reviewAt.toISOString() }),
      };
      const names = Object.keys(set);
      const known = Object.entries(knownPlans);
      const assignments = [
        ...names.map((name) => `#${name} = :${name}`),
        ...known.map((_, index) => `known_plans.#known${index} = :known${index}`),
      ];
      const applied = await update(userId, {
        UpdateExpression: `SET ${assignments.join(", ")}${reviewAt ? "" : " REMOVE review_queue, needs_review_at"}`,
        // ReturnValuesOnConditionCheckFailure is not set: the newer row is rarely needed, and `syncCustomer` reads it
        // separately.
        ConditionExpression: "attribute_not_exists(#applied_ticket) OR #applied_ticket < :applied_ticket",
        ExpressionAttributeNames: Object.fromEntries([
          ...names.map((name) => [`#${name}`, name]),
          ...known.map(([id], index) => [`#known${index}`, id]),
        ]),
        ExpressionAttributeValues: marshall(
          Object.fromEntries([
            ...names.map((name) => [`:${name}`, set[name]]),
            ...known.map(([_, plan], index) => [`:known${index}`, plan]),
          ]),
          { removeUndefinedValues: true },
        ),
      });
      return applied !== undefined;
    },

    async link(userId, stripeCustomerId, now, replacing = stripeCustomerId) {
      const owner = await findByStripeCustomer(stripeCustomerId);
      if (owner !== undefined && owner !== userId) return undefined;
      const linked = await update(userId, {
        UpdateExpression: "SET stripe_customer_id = :customer, created_at = if_not_exists(created_at, :now)",
        ConditionExpression:
          "attribute_not_exists(stripe_customer_id) OR stripe_customer_id = :customer OR stripe_customer_id = :replacing",
        ExpressionAttributeValues: marshall({
          ":customer": stripeCustomerId,
          ":replacing": replacing,
          ":now": now.toISOString(),
        }),
      });
      return linked ? stripeCustomerId : (await get(userId))?.stripe_customer_id;
    },

    async unlink(userId, now) {
      const { ticket } = await takeTicket(userId, now);
      const removed = [
        ...stripeAttributes,
        "creation_attempt",
        "known_plans",
        "review_by",
        "review_queue",
        "needs_review_at",
      ];
      await update(userId, {
        UpdateExpression: `SET applied_ticket = :ticket, updated_at = :now REMOVE ${removed.map((name) => `#${name}`).join(", ")}`,
        // Some names, such as "plan", are reserved words of DynamoDB.
        ExpressionAttributeNames: Object.fromEntries(removed.map((name) => [`#${name}`, name])),
        ExpressionAttributeValues: marshall({ ":ticket": ticket, ":now": now.toISOString() }),
      });
    },

    async grant(userId, { plan, expiresAt, note }, now) {
      const set: Record<string, string> = {
        granted_at: now.toISOString(),
        ...(plan && { grant_plan: plan }),
        ...(expiresAt && { grant_expires_at: expiresAt.toISOString() }),
        ...(note && { grant_note: note }),
      };
      const names = Object.keys(set);
      const gone = ["grant_plan", "grant_expires_at", "grant_note"].filter((name) => !names.includes(name));
      const removal = gone.length > 0 ? ` REMOVE ${gone.join(", ")}` : "";
      await update(userId, {
        UpdateExpression: `SET created_at = if_not_exists(created_at, :granted_at), ${names
          .map((name) => `${name} = :${name}`)
          .join(", ")}${removal}`,
        ExpressionAttributeValues: marshall(Object.fromEntries(names.map((name) => [`:${name}`, set[name]]))),
      });
    },

    async inspect(userId) {
      const query = new GetItemCommand({ TableName: tableName, Key: { user_id: { S: userId } }, ConsistentRead: true });
      const { Item } = await dependency("users table", client.send(query));
      return Item ? { customer: parseRow(Item), row: unmarshall(Item) } : { customer: undefined, row: null };
    },

    due: (now) =>
      userIds(
        paginateQuery(
          { client },
          {
            TableName: tableName,
            IndexName: userIndexes.review,
            KeyConditionExpression: "review_queue = :queue AND needs_review_at <= :now",
            ExpressionAttributeValues: marshall({ ":queue": REVIEW_QUEUE, ":now": now.toISOString() }),
          },
        ),
      ),

    withStripeCustomer: () =>
      userIds(paginateScan({ client }, { TableName: tableName, IndexName: userIndexes.stripeCustomer })),
  };
}

/** User ids of an index's items, page by page. */
async function* userIds(
  pages: AsyncIterable<{ Items?: Record<string, AttributeValue>[] | undefined }>,
): AsyncGenerator<string> {
  const answers = pages[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await dependency("users table", answers.next());
    if (done) return;
    for (const item of value.Items ?? []) if (item.user_id?.S) yield item.user_id.S;
  }
}

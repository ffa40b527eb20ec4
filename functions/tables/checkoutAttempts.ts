import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import * as z from "zod/mini";
import { PaidPlan } from "../../contract/plan";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

/**
 * One purchase attempt. It contains all inputs of its Checkout Session, so that concurrent requests create the same
 * session.
 */
const CheckoutAttempt = z.object({
  id: z.string(),
  plan: PaidPlan,
  price_id: z.string(),
  return_url: z.string(),
  /** `expires_at` of its Checkout Session, Unix seconds. */
  expires_at: z.int(),
  /** The session whose URL was returned, if any. */
  session_id: z.optional(z.string()),
});
export type CheckoutAttempt = z.infer<typeof CheckoutAttempt>;

/** Purchase attempts, one per customer. Every method throws ApiError `unavailable` when the table does not answer. */
export interface CheckoutAttempts {
  /** The current attempt. Undefined before the first attempt, and after the attempt has expired. */
  current(userId: string, now: Date): Promise<CheckoutAttempt | undefined>;
  /** Starts an attempt that replaces `previous`. False when a concurrent request started another attempt first. */
  start(userId: string, attempt: CheckoutAttempt, previous: CheckoutAttempt | undefined, now: Date): Promise<boolean>;
  /** Ends an attempt, so that the next request starts a new attempt. Does nothing when another attempt is current. */
  abandon(userId: string, attempt: CheckoutAttempt): Promise<void>;
  /** Records that the session's URL was returned. False when another attempt has started in the meantime. */
  handOut(userId: string, attempt: CheckoutAttempt, sessionId: string): Promise<boolean>;
}

/** Stores attempts in the `ephemeral` table. TTL deletes items late, so expired attempts are ignored. */
export function createCheckoutAttempts(tableName: string): CheckoutAttempts {
  const client = new DynamoDBClient(awsClientLimits);
  const key = (userId: string) => marshall({ pk: `${ephemeralKeys.checkout}${userId}` });

  async function update(userId: string, input: Omit<UpdateItemCommandInput, "TableName" | "Key">): Promise<boolean> {
    const command = new UpdateItemCommand({ TableName: tableName, Key: key(userId), ...input });
    const sent = client.send(command).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      },
    );
    return dependency("ephemeral table", sent);
  }

  return {
    async current(userId, now) {
      const get = new GetItemCommand({ TableName: tableName, Key: key(userId), ConsistentRead: true });
      const { Item } = await dependency("ephemeral table", client.send(get));
      const attempt = Item?.attempt && CheckoutAttempt.parse(unmarshall(Item).attempt);
      return attempt && attempt.expires_at * 1000 > now.getTime() ? attempt : undefined;
    },

    start: (userId, attempt, previous, now) =>
      update(userId, {
        UpdateExpression: "SET attempt = :attempt, #ttl = :ttl",
        ConditionExpression: previous
          ? "attempt.id = :previous"
          : "attribute_not_exists(attempt) OR attempt.expires_at <= :now",
        ExpressionAttributeNames: { "#ttl": "ttl" },
        ExpressionAttributeValues: marshall(
          {
            ":attempt": attempt,
            ":ttl": attempt.expires_at,
            ...(previous ? { ":previous": previous.id } : { ":now": Math.floor(now.getTime() / 1000) }),
          },
          { removeUndefinedValues: true },
        ),
      }),

    async abandon(userId, attempt) {
      await update(userId, {
        UpdateExpression: "REMOVE attempt",
        ConditionExpression: "attempt.id = :id",
        ExpressionAttributeValues: marshall({ ":id": attempt.id }),
      });
    },

    handOut: (userId, attempt, sessionId) =>
      update(userId, {
        UpdateExpression: "SET attempt.session_id = :session",
        ConditionExpression: "attempt.id = :id",
        ExpressionAttributeValues: marshall({ ":session": sessionId, ":id": attempt.id }),
      }),
  };
}

import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { RateLimited } from "../../contract/errors";
import { awsClientLimits, dependency } from "../lib/dependency";
import { type CountedUse, ephemeralKeys } from "./ephemeralKeys";

/** Maximum number of uses per time window. */
export interface RateLimit {
  limit: number;
  windowSeconds: number;
}

/**
 * Creates a rate limiter. It keeps counters in the `ephemeral` table, one item per key and window, deleted by TTL.
 *
 * @returns a function that counts one use. `key` is `<use>#<who>`. It throws RateLimited above the limit, and ApiError
 *   `unavailable` when the table does not answer
 */
export function createRateLimiter(
  tableName: string,
): (key: `${CountedUse}#${string}`, rate: RateLimit, now: Date) => Promise<void> {
  const client = new DynamoDBClient(awsClientLimits);
  return async (key, { limit, windowSeconds }, now) => {
    const window = Math.floor(now.getTime() / 1000 / windowSeconds);
    const update = new UpdateItemCommand({
      TableName: tableName,
      Key: { pk: { S: `${ephemeralKeys.rate}${key}#${window}` } },
      UpdateExpression: "ADD uses :one SET #ttl = :ttl",
      ConditionExpression: "attribute_not_exists(uses) OR uses < :limit",
      ExpressionAttributeNames: { "#ttl": "ttl" },
      ExpressionAttributeValues: {
        ":one": { N: "1" },
        ":limit": { N: String(limit) },
        ":ttl": { N: String((window + 2) * windowSeconds) },
      },
    });
    const counted = client.send(update).catch((error: unknown) => {
      if (error instanceof ConditionalCheckFailedException) return undefined;
      throw error;
    });
    if (await dependency("ephemeral table", counted)) return;
    throw new RateLimited(Math.ceil((window + 1) * windowSeconds - now.getTime() / 1000));
  };
}

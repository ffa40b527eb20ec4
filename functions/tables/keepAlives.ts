import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

/** The time of an endpoint that no longer exists is deleted after a month. */
const KEEP_SECONDS = 30 * 86_400;

/** The times of the keep-alive jobs. Both methods throw ApiError `unavailable` when the table does not answer. */
export interface KeepAlives {
  /**
   * Claims the next job of an endpoint. False when the last job is younger than `everySeconds`, and for the first call,
   * because a new endpoint is not idle.
   */
  claim(endpoint: string, everySeconds: number, now: Date): Promise<boolean>;
  /** Gives a claim back, so that the next run tries again. */
  release(endpoint: string): Promise<void>;
}

/** Stores the times in the `ephemeral` table. */
export function createKeepAlives(TableName: string): KeepAlives {
  const client = new DynamoDBClient(awsClientLimits);
  const keyOf = (endpoint: string) => ({ pk: { S: `${ephemeralKeys.keepAlive}${endpoint}` } });
  return {
    async claim(endpoint, everySeconds, now) {
      const seconds = Math.floor(now.getTime() / 1000);
      const update = new UpdateItemCommand({
        TableName,
        Key: keyOf(endpoint),
        UpdateExpression: "SET sent_at = :now, #ttl = :ttl",
        // DynamoDB deletes expired items late, so that the time decides.
        ConditionExpression: "attribute_not_exists(sent_at) OR sent_at <= :last",
        ReturnValues: "ALL_OLD",
        ExpressionAttributeNames: { "#ttl": "ttl" },
        ExpressionAttributeValues: {
          ":now": { N: String(seconds) },
          ":last": { N: String(seconds - everySeconds) },
          ":ttl": { N: String(seconds + KEEP_SECONDS) },
        },
      });
      const sent = client.send(update).then(
        ({ Attributes }) => Attributes !== undefined,
        (error: unknown) => {
          if (error instanceof ConditionalCheckFailedException) return false;
          throw error;
        },
      );
      return dependency("ephemeral table", sent);
    },

    async release(endpoint) {
      const update = new UpdateItemCommand({
        TableName,
        Key: keyOf(endpoint),
        UpdateExpression: "SET sent_at = :never",
        ExpressionAttributeValues: { ":never": { N: "0" } },
      });
      await dependency("ephemeral table", client.send(update));
    },
  };
}

import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { marshall } from "@aws-sdk/util-dynamodb";
import type { CooldownStore } from "../core/relay/cooldown";
import { awsClientLimits, dependency } from "../lib/dependency";
import { batchGet } from "./batchGet";
import { ephemeralKeys } from "./ephemeralKeys";

/**
 * A cooldown is kept in the table for this time after its end. A provider that gets no request in this time counts as
 * healthy.
 */
const KEEP_SECONDS = 3_600;

/**
 * Stores cooldowns in the `ephemeral` table. Every method throws ApiError `unavailable` when the table does not answer.
 */
export function createCooldownStore(tableName: string): CooldownStore {
  const client = new DynamoDBClient(awsClientLimits);
  const pk = (key: string) => `${ephemeralKeys.cooldown}${key}`;

  /** False when the stored end is not `seenMs`. */
  async function setEnd(key: string, endMs: number, seenMs?: number): Promise<boolean> {
    const update = new UpdateItemCommand({
      TableName: tableName,
      Key: marshall({ pk: pk(key) }),
      UpdateExpression: "SET end_ms = :end, #ttl = :ttl",
      ...(seenMs !== undefined && { ConditionExpression: "end_ms = :seen" }),
      ExpressionAttributeNames: { "#ttl": "ttl" },
      ExpressionAttributeValues: marshall({
        ":end": endMs,
        ":ttl": Math.ceil(endMs / 1000) + KEEP_SECONDS,
        ...(seenMs !== undefined && { ":seen": seenMs }),
      }),
    });
    const sent = client.send(update).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      },
    );
    return dependency("ephemeral table", sent);
  }

  return {
    async read(keys) {
      const items = await batchGet(client, tableName, keys.map(pk));
      return new Map(items.map(({ pk: stored, end_ms }) => [stored?.S?.slice(pk("").length) ?? "", Number(end_ms?.N)]));
    },

    async write(key, endMs) {
      await setEnd(key, endMs);
    },

    replace: (key, seenMs, endMs) => setEnd(key, endMs, seenMs),

    async remove(key) {
      const deletion = new DeleteItemCommand({ TableName: tableName, Key: marshall({ pk: pk(key) }) });
      await dependency("ephemeral table", client.send(deletion));
    },
  };
}

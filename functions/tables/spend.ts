import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall } from "@aws-sdk/util-dynamodb";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

const DAY_MS = 86_400_000;
/** The sum of a day is kept for a week. */
const KEEP_DAYS = 7;

/**
 * The stack's spend on external LLMs, one sum per UTC day. Amounts are whole micro-dollars. Both methods throw ApiError
 * `unavailable` when the table does not answer.
 */
export interface SpendTable {
  /** Reserves the maximum costs of a chat. False when the day's spend would exceed the ceiling. */
  reserve(microUsd: number, ceiling: number, now: Date): Promise<boolean>;
  /**
   * Corrects a reservation.
   *
   * @param differenceMicroUsd real costs minus the reserved amount
   * @param reservedAt `now` of the reservation: the correction belongs to the same day
   */
  settle(differenceMicroUsd: number, reservedAt: Date): Promise<void>;
}

/** Stores the spend in the `ephemeral` table. */
export function createSpendTable(tableName: string): SpendTable {
  const client = new DynamoDBClient(awsClientLimits);

  /** False when the sum is above `most` already. */
  async function add(microUsd: number, now: Date, most?: number): Promise<boolean> {
    const day = Math.floor(now.getTime() / DAY_MS);
    const update = new UpdateItemCommand({
      TableName: tableName,
      Key: marshall({ pk: `${ephemeralKeys.spend}${new Date(day * DAY_MS).toISOString().slice(0, 10)}` }),
      UpdateExpression: "ADD micro_usd :amount SET #ttl = :ttl",
      ...(most !== undefined && { ConditionExpression: "attribute_not_exists(micro_usd) OR micro_usd <= :most" }),
      ExpressionAttributeNames: { "#ttl": "ttl" },
      ExpressionAttributeValues: marshall({
        ":amount": microUsd,
        ":ttl": ((day + 1 + KEEP_DAYS) * DAY_MS) / 1000,
        ...(most !== undefined && { ":most": most }),
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
    reserve: async (microUsd, ceiling, now) => microUsd <= ceiling && add(microUsd, now, ceiling - microUsd),

    async settle(differenceMicroUsd, reservedAt) {
      if (differenceMicroUsd !== 0) await add(differenceMicroUsd, reservedAt);
    },
  };
}

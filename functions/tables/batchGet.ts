import { setTimeout as sleep } from "node:timers/promises";
import { type AttributeValue, BatchGetItemCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { marshall } from "@aws-sdk/util-dynamodb";
import { ApiError } from "../../contract/errors";
import { dependency } from "../lib/dependency";

type Item = Record<string, AttributeValue>;

/** Maximum number of attempts to read all keys, and the base of the random waits between the attempts. */
const ATTEMPTS = 5;
const RETRY_MS = 50;

/**
 * Reads up to 100 items of the `ephemeral` table. DynamoDB leaves keys unprocessed above the table's throughput or
 * above 16 MB, so these keys are read again.
 *
 * @param pks partition keys; duplicates are read once, because DynamoDB rejects them
 * @returns the items that exist, in any order
 * @throws ApiError `unavailable` when the table does not answer, or leaves keys unprocessed again and again
 */
export async function batchGet(client: DynamoDBClient, tableName: string, pks: string[]): Promise<Item[]> {
  let keys: Item[] = [...new Set(pks)].map((pk) => marshall({ pk }));
  const found: Item[] = [];
  for (let attempt = 0; keys.length > 0; attempt++) {
    if (attempt === ATTEMPTS)
      throw new ApiError("unavailable", undefined, { cause: "ephemeral table: keys are still unprocessed" });
    if (attempt > 0) await sleep(RETRY_MS * 2 ** attempt * Math.random());
    const get = new BatchGetItemCommand({ RequestItems: { [tableName]: { Keys: keys } } });
    const { Responses, UnprocessedKeys } = await dependency("ephemeral table", client.send(get));
    found.push(...(Responses?.[tableName] ?? []));
    keys = UnprocessedKeys?.[tableName]?.Keys ?? [];
  }
  return found;
}

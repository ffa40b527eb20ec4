import { setTimeout as sleep } from "node:timers/promises";
import { type AttributeValue, BatchGetItemCommand, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import * as z from "zod/mini";
import { ApiError } from "../../contract/errors";
import { awsClientLimits, dependency } from "../lib/dependency";

const Handled = z.object({
  pk: z.string(),
  outcome: z.enum(["synced", "foreign"]),
  user_id: z.optional(z.string()),
  handled_at: z.iso.datetime(),
  times: z.int(),
});

type HandledRow = z.infer<typeof Handled>;

/** An event's outcome and time. */
type HandledEvent = Omit<HandledRow, "pk">;

/** Attempts to read all keys of one lookup, and the base of the random waits between them. */
const FIND_ATTEMPTS = 5;
const RETRY_MS = 50;

/** Stripe keeps events for 30 days. */
const KEEP_SECONDS = 30 * 24 * 3600;

/** Record of handled events. Each method throws ApiError `unavailable` when the table does not answer. */
export interface EventLog {
  /** Records the outcome of an event and counts how many times it was handled. */
  record(
    event: { id: string; type: string },
    what: Pick<HandledEvent, "outcome" | "user_id">,
    now: Date,
  ): Promise<void>;
  /** Outcomes of up to 100 events by event id. Events that were never handled are absent. */
  find(eventIds: string[]): Promise<Map<string, HandledEvent>>;
}

/**
 * Event log in the `ephemeral` table, for operators and for the reconciler. It does not prevent that an event is
 * handled again, because a repeated event must be able to repair a row.
 */
export function createEventLog(tableName: string): EventLog {
  const client = new DynamoDBClient(awsClientLimits);
  const key = (eventId: string) => `evt#${eventId}`;
  return {
    async record({ id, type }, { outcome, user_id }, now) {
      const update = new UpdateItemCommand({
        TableName: tableName,
        Key: marshall({ pk: key(id) }),
        UpdateExpression: `SET #type = :type, outcome = :outcome, handled_at = :now, #ttl = :ttl${
          user_id ? ", user_id = :user" : ""
        } ADD times :one`,
        ExpressionAttributeNames: { "#type": "type", "#ttl": "ttl" },
        ExpressionAttributeValues: marshall({
          ":type": type,
          ":outcome": outcome,
          ":now": now.toISOString(),
          ":ttl": Math.floor(now.getTime() / 1000) + KEEP_SECONDS,
          ":one": 1,
          ...(user_id && { ":user": user_id }),
        }),
      });
      await dependency("ephemeral table", client.send(update));
    },

    async find(eventIds) {
      // DynamoDB rejects duplicate keys.
      let keys: Record<string, AttributeValue>[] = [...new Set(eventIds)].map((id) => marshall({ pk: key(id) }));
      const found: HandledRow[] = [];
      for (let attempt = 0; keys.length > 0; attempt++) {
        if (attempt === FIND_ATTEMPTS)
          throw new ApiError("unavailable", undefined, { cause: "ephemeral table: unprocessed keys remain" });
        // DynamoDB leaves keys unprocessed above its throughput or above 16 MB.
        if (attempt > 0) await sleep(RETRY_MS * 2 ** attempt * Math.random());
        const get = new BatchGetItemCommand({ RequestItems: { [tableName]: { Keys: keys } } });
        const { Responses, UnprocessedKeys } = await dependency("ephemeral table", client.send(get));
        found.push(...(Responses?.[tableName] ?? []).map((item) => Handled.parse(unmarshall(item))));
        keys = UnprocessedKeys?.[tableName]?.Keys ?? [];
      }
      return new Map(found.map(({ pk, ...handled }) => [pk.slice(key("").length), handled]));
    },
  };
}

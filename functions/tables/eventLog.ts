import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import * as z from "zod/mini";
import { awsClientLimits, dependency } from "../lib/dependency";
import { batchGet } from "./batchGet";
import { ephemeralKeys } from "./ephemeralKeys";

const Handled = z.object({
  pk: z.string(),
  outcome: z.enum(["synced", "foreign"]),
  user_id: z.optional(z.string()),
  handled_at: z.iso.datetime(),
  times: z.int(),
});

/** An event's outcome and time. */
type HandledEvent = Omit<z.infer<typeof Handled>, "pk">;

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
 * Event log in the `ephemeral` table, for operators and for the reconciler. It does not stop a repeated event from
 * being handled again, because that event may repair a row.
 */
export function createEventLog(tableName: string): EventLog {
  const client = new DynamoDBClient(awsClientLimits);
  const key = (eventId: string) => `${ephemeralKeys.event}${eventId}`;
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
      const items = await batchGet(client, tableName, eventIds.map(key));
      const rows = items.map((item) => Handled.parse(unmarshall(item)));
      return new Map(rows.map(({ pk, ...handled }) => [pk.slice(key("").length), handled]));
    },
  };
}

import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import type { Model } from "../../contract/plan";
import { noReplies, type ReplyCounts, SLOT_MINUTES, SLOTS, slotOf } from "../core/canary/verdict";
import { awsClientLimits, dependency } from "../lib/dependency";
import { batchGet } from "./batchGet";
import { ephemeralKeys } from "./ephemeralKeys";

/** Counts are deleted after this time. The verdicts need them for 30 minutes. */
const KEEP_SECONDS = 6 * 3_600;

/** A version of a model: the released one, or the image of a candidate. */
export interface Version {
  model: Model;
  /** Undefined for the released version. */
  image?: string;
}

/** Counts of replies. Both methods throw ApiError `unavailable` when the table does not answer. */
export interface ReplyCountTable {
  /** Adds counts to the slot of the present time. */
  add(version: Version, counts: ReplyCounts, now: Date): Promise<void>;
  /** Counts of the last complete slots, the newest last. Slots that began before `since` are empty. */
  read(version: Version, since: Date, now: Date): Promise<ReplyCounts[]>;
}

/** Stores counts in the `ephemeral` table: one item per version and slot of five minutes. */
export function createReplyCounts(TableName: string): ReplyCountTable {
  const client = new DynamoDBClient(awsClientLimits);
  const pk = ({ model, image }: Version, slot: number) =>
    `${ephemeralKeys.replies}${model}#${slot}#${image ? `candidate#${image}` : "released"}`;
  return {
    async add(version, counts, now) {
      const added = Object.entries(attributesOf(counts)).filter(([, count]) => count > 0);
      const update = new UpdateItemCommand({
        TableName,
        Key: marshall({ pk: pk(version, slotOf(now)) }),
        UpdateExpression: `ADD ${added.map(([name]) => `#${name} :${name}`).join(", ")} SET #ttl = :ttl`,
        // DynamoDB reserves some of the names.
        ExpressionAttributeNames: { "#ttl": "ttl", ...Object.fromEntries(added.map(([name]) => [`#${name}`, name])) },
        ExpressionAttributeValues: marshall({
          ...Object.fromEntries(added.map(([name, count]) => [`:${name}`, count])),
          ":ttl": Math.floor(now.getTime() / 1000) + KEEP_SECONDS,
        }),
      });
      await dependency("ephemeral table", client.send(update));
    },

    async read(version, since, now) {
      const first = slotOf(now) - SLOTS;
      const keys = Array.from({ length: SLOTS }, (_, index) => first + index)
        .filter((slot) => slot * SLOT_MINUTES * 60_000 >= since.getTime())
        .map((slot) => pk(version, slot));
      const items = await batchGet(client, TableName, keys);
      const found = new Map(items.map((item) => [item.pk?.S, countsOf(unmarshall(item))]));
      return Array.from({ length: SLOTS }, (_, index) => found.get(pk(version, first + index)) ?? noReplies());
    },
  };
}

/** One attribute per number, because DynamoDB cannot add to an element of a list that does not exist yet. */
function attributesOf({ firstText, ...counts }: ReplyCounts): Record<string, number> {
  return { ...counts, ...Object.fromEntries(firstText.map((count, bin) => [`first_text_${bin}`, count])) };
}

function countsOf(item: Record<string, unknown>): ReplyCounts {
  const count = (name: string) => Number(item[name] ?? 0);
  return {
    replies: count("replies"),
    failed: count("failed"),
    empty: count("empty"),
    invalid: count("invalid"),
    firstText: noReplies().firstText.map((_, bin) => count(`first_text_${bin}`)),
  };
}

import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { reservationEnd } from "../core/relay/spend";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

const DAY_MS = 86_400_000;
/** The sum of a day is kept for a week. */
const KEEP_DAYS = 7;
/**
 * Prefix of the attributes with the reservations of running chats. After the prefix comes the expiry time in Unix
 * seconds.
 */
const RESERVED = "reserved_until_";

/**
 * The stack's spend on external LLMs: one sum per UTC day, in whole micro-dollars. Both methods throw ApiError
 * `unavailable` when the table does not answer.
 */
export interface SpendTable {
  /**
   * Reserves the maximum costs of a chat. False when the day's spend would exceed the ceiling. A reservation that is not
   * settled expires after 10 to 20 minutes.
   */
  reserve(microUsd: number, ceiling: number, now: Date): Promise<boolean>;
  /**
   * Replaces a reservation with the real costs.
   *
   * @param reservedAt `now` of the reservation: the costs belong to the same day
   */
  settle(chat: { reserved: number; costs: number }, reservedAt: Date): Promise<void>;
}

/** A change of one day's item. */
interface Change {
  expression: string;
  condition?: string;
  names?: Record<string, string>;
  values: Record<string, number>;
}

/**
 * Stores the spend in the `ephemeral` table. `micro_usd` is the sum of costs and reservations, so that one conditional
 * write compares it with the ceiling. Each slot of ten minutes has another attribute with the sum of its reservations.
 * When the ceiling is reached, expired reservations are subtracted from `micro_usd`.
 */
export function createSpendTable(tableName: string): SpendTable {
  const client = new DynamoDBClient(awsClientLimits);

  const keyOf = (day: Date) => marshall({ pk: `${ephemeralKeys.spend}${day.toISOString().slice(0, 10)}` });

  /** Returns false when the condition is not met. */
  function change(day: Date, { expression, condition, names, values }: Change): Promise<boolean> {
    const update = new UpdateItemCommand({
      TableName: tableName,
      Key: keyOf(day),
      UpdateExpression: expression,
      ConditionExpression: condition,
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: marshall(values),
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

  const add = (microUsd: number, most: number, now: Date) =>
    change(now, {
      expression: "ADD micro_usd :amount, #reserved :amount SET #ttl = :ttl",
      condition: "attribute_not_exists(micro_usd) OR micro_usd <= :most",
      names: { "#reserved": `${RESERVED}${reservationEnd(now)}`, "#ttl": "ttl" },
      values: {
        ":amount": microUsd,
        ":most": most,
        ":ttl": ((Math.floor(now.getTime() / DAY_MS) + 1 + KEEP_DAYS) * DAY_MS) / 1000,
      },
    });

  /** Subtracts the expired reservations from the day's sum. Returns the new sum. */
  async function releaseExpired(now: Date): Promise<number> {
    const get = new GetItemCommand({ TableName: tableName, Key: keyOf(now), ConsistentRead: true });
    const { Item = {} } = await dependency("ephemeral table", client.send(get));
    const { micro_usd = 0, ...others } = unmarshall(Item);
    const hasExpired = (name: string) =>
      name.startsWith(RESERVED) && Number(name.slice(RESERVED.length)) * 1000 <= now.getTime();
    const expired = Object.entries(others).filter(([name]) => hasExpired(name));
    // Several containers may release the same reservations. The condition lets only one of them change the sum.
    const release = ([name, amount]: [string, number]) =>
      change(now, {
        expression: "ADD micro_usd :less REMOVE #reserved",
        condition: "#reserved = :amount",
        names: { "#reserved": name },
        values: { ":less": -amount, ":amount": amount },
      });
    await Promise.all(expired.filter(([, amount]) => amount > 0).map(release));
    return expired.reduce((sum, [, amount]) => sum - amount, micro_usd);
  }

  return {
    async reserve(microUsd, ceiling, now) {
      const most = ceiling - microUsd;
      if (most < 0) return false;
      if (await add(microUsd, most, now)) return true;
      return (await releaseExpired(now)) <= most && add(microUsd, most, now);
    },

    async settle({ reserved, costs }, reservedAt) {
      if (reserved === 0 && costs === 0) return;
      const isReplaced = await change(reservedAt, {
        expression: "ADD micro_usd :difference, #reserved :less",
        condition: "#reserved >= :reserved",
        names: { "#reserved": `${RESERVED}${reservationEnd(reservedAt)}` },
        values: { ":difference": costs - reserved, ":less": -reserved, ":reserved": reserved },
      });
      if (isReplaced) return;
      // The reservation has expired and was already subtracted.
      await change(reservedAt, { expression: "ADD micro_usd :costs", values: { ":costs": costs } });
    },
  };
}

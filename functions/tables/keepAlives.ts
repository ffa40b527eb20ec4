import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

/** Items are deleted after a month, because an endpoint may no longer exist. */
const KEEP_SECONDS = 30 * 86_400;

/** The times of the next keep-alive jobs. Both methods throw ApiError `unavailable` when the table does not answer. */
export interface KeepAlives {
  /**
   * Claims the next job of an endpoint for `leaseSeconds`. Returns false when the job is not due. If the caller crashes
   * before it sends the job, the job is due again after the lease.
   */
  claim(endpoint: string, leaseSeconds: number, now: Date): Promise<boolean>;
  /** Stores that the job was sent. The next job is due after `everySeconds`. */
  sent(endpoint: string, everySeconds: number, now: Date): Promise<void>;
}

/** Stores the times in the `ephemeral` table. */
export function createKeepAlives(TableName: string): KeepAlives {
  const client = new DynamoDBClient(awsClientLimits);

  /** Sets the time of the next job. False when `onlyIfDue` is set and the next job is not due. */
  async function setNext(endpoint: string, afterSeconds: number, now: Date, onlyIfDue: boolean): Promise<boolean> {
    const seconds = Math.floor(now.getTime() / 1000);
    const update = new UpdateItemCommand({
      TableName,
      Key: { pk: { S: `${ephemeralKeys.keepAlive}${endpoint}` } },
      UpdateExpression: "SET next_at = :next, #ttl = :ttl",
      ...(onlyIfDue && { ConditionExpression: "attribute_not_exists(next_at) OR next_at <= :now" }),
      ExpressionAttributeNames: { "#ttl": "ttl" },
      ExpressionAttributeValues: {
        ":next": { N: String(seconds + afterSeconds) },
        ":ttl": { N: String(seconds + KEEP_SECONDS) },
        ...(onlyIfDue && { ":now": { N: String(seconds) } }),
      },
    });
    const set = client.send(update).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      },
    );
    return dependency("ephemeral table", set);
  }

  return {
    claim: (endpoint, leaseSeconds, now) => setNext(endpoint, leaseSeconds, now, true),
    sent: async (endpoint, everySeconds, now) => void (await setNext(endpoint, everySeconds, now, false)),
  };
}

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import * as z from "zod/mini";
import { ApiError, RateLimited } from "../../contract/errors";
import type { Usage } from "../../contract/relay";
import {
  cancel,
  isCancelled,
  type ReserveRequest,
  readUsage,
  reserve,
  settle,
  type UsageLimits,
  UsageState,
  usageEnd,
} from "../core/relay/usage";
import { awsClientLimits, dependency } from "../lib/dependency";
import { ephemeralKeys } from "./ephemeralKeys";

export type { UsageLimits } from "../core/relay/usage";

/**
 * Maximum number of attempts to write one change. An attempt fails when another container changes the same account at
 * the same time. The waits between the attempts add up to 2 s.
 */
const MAX_TRIES = 14;
const WAIT_MS = { first: 10, longest: 250 };
/** Maximum number of accounts whose state a container caches. */
const MAX_REMEMBERED = 1_000;

/**
 * Usage of the relay, one item per account. `account` is `user#<sub>` or `guest#<household hash>`. Every method throws
 * ApiError `unavailable` when the table does not answer. Methods that change the account throw `overloaded` when too
 * many containers change it at the same time.
 */
export interface UsageTable {
  /**
   * Admits a chat and reserves the maximum tokens that it can use. It throws RateLimited above a limit, and ApiError
   * `conflict` while a chat with this id is running.
   */
  reserve(chat: Omit<ReserveRequest, "request"> & { account: string }, now: Date): Promise<void>;
  /** Ends a chat: replaces its reservation with the used tokens. A second call changes nothing. */
  settle(chat: { account: string; chatId: string; tokens: number }, now: Date): Promise<void>;
  /**
   * Marks a running chat as cancelled. It throws ApiError `not_found` unless the owner has a running chat with this id.
   * If the owner starts a chat with this id within the next minute, that chat is cancelled at once.
   */
  cancel(chat: { account: string; owner: string; chatId: string }, now: Date): Promise<void>;
  /** Whether a running chat was cancelled. */
  isCancelled(chat: { account: string; chatId: string }): Promise<boolean>;
  /** Usage of an account, as shown to the customer. */
  read(account: string, limits: UsageLimits, now: Date): Promise<Usage>;
}

/** An item. `version` is a random id of the last write. */
const Stored = z.extend(UsageState, { version: z.string() });
type Stored = z.infer<typeof Stored>;

/** Computes the next state from the current one. Without `next`, the state does not change. */
type Decide<Result> = (state: UsageState | undefined) => { next?: UsageState | undefined; result: Result };

/**
 * Stores usage in the `ephemeral` table. A change is one conditional write. The write fails if another container has
 * written in the meantime. The change is then computed again from a fresh read.
 *
 * If a response is lost, the SDK repeats a write that has succeeded. Its condition then fails. So every change must
 * have no effect the second time.
 */
export function createUsageTable(tableName: string): UsageTable {
  const client = new DynamoDBClient(awsClientLimits);
  const remembered = new Map<string, Stored>();
  const turns = new Map<string, Promise<void>>();
  const pk = (account: string) => `${ephemeralKeys.usage}${account}`;

  function remember(account: string, stored: Stored): void {
    remembered.delete(account);
    remembered.set(account, stored);
    const [oldest] = remembered.keys();
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  }

  async function load(account: string): Promise<Stored | undefined> {
    const get = new GetItemCommand({ TableName: tableName, Key: marshall({ pk: pk(account) }), ConsistentRead: true });
    const { Item } = await dependency("ephemeral table", client.send(get));
    return Item && Stored.parse(unmarshall(Item));
  }

  /** Returns false when another write came first, so that the stored item is not `seen`. */
  async function save(account: string, stored: Stored, seen: Stored | undefined): Promise<boolean> {
    const put = new PutItemCommand({
      TableName: tableName,
      Item: marshall({ pk: pk(account), ttl: usageEnd(stored), ...stored }),
      ConditionExpression: seen ? "#version = :seen" : "attribute_not_exists(pk)",
      ...(seen && {
        ExpressionAttributeNames: { "#version": "version" },
        ExpressionAttributeValues: marshall({ ":seen": seen.version }),
      }),
    });
    const sent = client.send(put).then(
      () => {
        remember(account, stored);
        return true;
      },
      (error: unknown) => {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      },
    );
    return dependency("ephemeral table", sent);
  }

  async function change<Result>(account: string, decide: Decide<Result>): Promise<Result> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const known = tries === 0 ? remembered.get(account) : undefined;
      const seen = known ?? (await load(account));
      const { next, result } = decide(seen);
      if (!next) {
        // The cached state may be outdated, so only a fresh read can refuse a chat.
        if (known) continue;
        return result;
      }
      const version = randomUUID();
      if (await save(account, { ...next, version }, seen)) return result;
      if (!known) await sleep(Math.random() * Math.min(WAIT_MS.first * 2 ** tries, WAIT_MS.longest));
    }
    throw new ApiError("overloaded", undefined, { cause: "too many concurrent changes of one account's usage" });
  }

  /** Runs the changes of one container sequentially, so that conflicts occur only between containers. */
  function changeInTurn<Result>(account: string, decide: Decide<Result>): Promise<Result> {
    const changed = (turns.get(account) ?? Promise.resolve()).then(() => change(account, decide));
    const turn = changed.then(
      () => {},
      () => {},
    );
    turns.set(account, turn);
    turn.then(() => {
      if (turns.get(account) === turn) turns.delete(account);
    });
    return changed;
  }

  return {
    async reserve({ account, ...chat }, now) {
      const request = { ...chat, request: randomUUID() };
      const refusal = await changeInTurn(account, (state) => {
        const { next, refusal: result } = reserve(state, request, now);
        return { next, result };
      });
      if (refusal?.code === "conflict") throw new ApiError("conflict");
      if (refusal) throw new RateLimited(refusal.retryAfterSeconds);
    },

    async settle({ account, ...chat }, now) {
      await changeInTurn(account, (state) => ({ next: settle(state, chat, now), result: undefined }));
    },

    async cancel({ account, ...chat }, now) {
      const found = await changeInTurn(account, (state) => {
        const { found: result, next } = cancel(state, chat, now);
        return { next, result };
      });
      if (!found) throw new ApiError("not_found", "There is no running chat with this id.");
    },

    isCancelled: async ({ account, chatId }) => isCancelled(await load(account), chatId),

    read: async (account, limits, now) => readUsage(await load(account), limits, now),
  };
}

import type { Server } from "node:http";
import { promisify } from "node:util";
import type {
  CreateTableCommandInput,
  GlobalSecondaryIndex,
  GlobalSecondaryIndexDescription,
  ProvisionedThroughput,
} from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import database, { type Entries, type Item, type Options, type Store, type Table } from "dynalite/db/index.js";
import { stableJson } from "../support/values";

/** What a table is to have from now on, as CreateTable would be told; without throughput it is paid for by request. */
export type TableChange = Pick<
  CreateTableCommandInput,
  "AttributeDefinitions" | "ProvisionedThroughput" | "GlobalSecondaryIndexes"
>;

/**
 * Makes a dynalite server and gives the store it keeps to itself: its UpdateTable takes changes of indexes without a word
 * and does nothing.
 */
export function openDynalite(options: Options): { server: Server; store: Store } {
  const { create } = database;
  let store: Store | undefined;
  // The server asks this very module for its store while it is being made.
  database.create = (given) => {
    store = create(given);
    return store;
  };
  try {
    const server = dynalite(options);
    if (store === undefined) throw new Error("dynalite made its store elsewhere.");
    return { server, store };
  } finally {
    database.create = create;
  }
}

/**
 * Does UpdateTable's work on a table that exists: capacity, indexes that go, and indexes that come, filled from the items
 * that are there. An index whose keys or projection differ goes and comes. One that an earlier call left half filled is
 * filled again.
 *
 * @returns the names of the indexes that came and went
 * @throws Error when there is no such table
 */
export async function changeTable(store: Store, name: string, change: TableChange) {
  const table = await get(store.tableDb, name);
  if (table === undefined) throw new Error(`ResourceNotFoundException: Table: ${name} not found`);
  const indexes = change.GlobalSecondaryIndexes ?? [];
  const wanted = new Map(indexes.map((index) => [index.IndexName, index]));
  const isKept = (index: GlobalSecondaryIndexDescription) =>
    index.IndexStatus === "ACTIVE" && shape(index) === shape(wanted.get(index.IndexName));
  const had = table.GlobalSecondaryIndexes ?? [];
  const kept = had.filter(isKept);
  const removed = had.filter((index) => !isKept(index)).map((index) => String(index.IndexName));

  await put(store.tableDb, name, defined(table, change, kept));
  for (const index of removed) await promisify(store.deleteIndexDb)("Global", name, index);

  const names = new Set(kept.map((index) => index.IndexName));
  const added = indexes.filter((index) => !names.has(index.IndexName));
  if (added.length > 0) {
    // From here on new items are indexed; those that are there already follow.
    const filling = added.map((index) => ({ ...description(table, index), IndexStatus: "CREATING" as const }));
    const creating = defined(table, change, [...kept, ...filling]);
    await put(store.tableDb, name, creating);
    await fill(store, creating, filling);
    const active = filling.map((index) => ({ ...index, IndexStatus: "ACTIVE" as const }));
    await put(store.tableDb, name, defined(table, change, [...kept, ...active]));
  }
  return { added: added.map((index) => String(index.IndexName)), removed };
}

/** Writes the entries of all items that have an index's keys, each while nobody else writes the item. */
async function fill(store: Store, table: Table, indexes: GlobalSecondaryIndexDescription[]): Promise<void> {
  const items = store.getItemDb(table.TableName);
  const types = new Map(table.AttributeDefinitions.map((one) => [one.AttributeName, one.AttributeType]));
  // DynamoDB leaves out of a new index what could not have been written with it.
  const fits = (item: Item) => (index: GlobalSecondaryIndexDescription) =>
    (index.KeySchema ?? []).every(({ AttributeName = "" }) => {
      const value: object | undefined = item[AttributeName];
      return value !== undefined && Reflect.get(value, types.get(AttributeName) ?? "");
    });
  for await (const seen of items.createValueStream({})) {
    const key = database.createKey(seen, table);
    await locked(items, key, async () => {
      const item = await get(items, key);
      if (item === undefined) return;
      const { puts } = database.getIndexActions(indexes.filter(fits(item)), undefined, item, table);
      for (const one of puts) await put(store.getIndexDb("Global", table.TableName, one.index), one.key, one.item);
    });
  }
}

function defined(table: Table, change: TableChange, indexes: GlobalSecondaryIndexDescription[]): Table {
  const { GlobalSecondaryIndexes: _indexes, BillingModeSummary: _mode, ...rest } = table;
  const wanted = new Map(change.GlobalSecondaryIndexes?.map((index) => [index.IndexName, index]));
  return {
    ...rest,
    AttributeDefinitions: change.AttributeDefinitions ?? [],
    ...(change.ProvisionedThroughput === undefined ? { BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" } } : {}),
    ProvisionedThroughput: throughput(change.ProvisionedThroughput),
    GlobalSecondaryIndexes: indexes.map((index) => ({
      ...index,
      ProvisionedThroughput: throughput(wanted.get(index.IndexName)?.ProvisionedThroughput),
    })),
  };
}

function description(table: Table, { IndexName, KeySchema, Projection }: GlobalSecondaryIndex) {
  return {
    IndexName,
    KeySchema,
    Projection,
    IndexArn: `${table.TableArn}/index/${IndexName}`,
    IndexSizeBytes: 0,
    ItemCount: 0,
  };
}

function throughput(given: ProvisionedThroughput | undefined) {
  return { ReadCapacityUnits: 0, WriteCapacityUnits: 0, NumberOfDecreasesToday: 0, ...given };
}

/** What makes an index another one: its keys in their order, and what it holds of an item. */
function shape(index: GlobalSecondaryIndex | GlobalSecondaryIndexDescription | undefined): string {
  const { ProjectionType, NonKeyAttributes = [] } = index?.Projection ?? {};
  return stableJson([index?.KeySchema, ProjectionType, NonKeyAttributes.toSorted()]);
}

function get<T>(entries: Entries<T>, key: string): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    entries.get(key, (error, value) => (error ? reject(error) : resolve(value)));
  });
}

function put<T>(entries: Entries<T>, key: string, value: T): Promise<void> {
  return new Promise((resolve, reject) => {
    entries.put(key, value, (error) => (error ? reject(error) : resolve()));
  });
}

function locked(entries: Entries<Item>, key: string, work: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    entries.lock(key, (release) => {
      work().then(
        () => release(resolve)(),
        (error) => release(() => reject(error))(),
      );
    });
  });
}

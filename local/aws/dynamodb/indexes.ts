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

/**
 * New settings of a table, in the shape of CreateTable. Without `ProvisionedThroughput` the table is billed per
 * request.
 */
export type TableChange = Pick<
  CreateTableCommandInput,
  "AttributeDefinitions" | "ProvisionedThroughput" | "GlobalSecondaryIndexes"
>;

/**
 * Creates a dynalite server and exposes its private store. `changeTable` needs the store, because dynalite's
 * UpdateTable silently ignores changes of indexes.
 */
export function openDynalite(options: Options): { server: Server; store: Store } {
  const { create } = database;
  let store: Store | undefined;
  // dynalite creates its store with `database.create`, so this replacement can keep a reference to the store.
  database.create = (given) => {
    store = create(given);
    return store;
  };
  try {
    const server = dynalite(options);
    if (store === undefined) throw new Error("dynalite did not create its store through database.create.");
    return { server, store };
  } finally {
    database.create = create;
  }
}

/**
 * Updates an existing table as UpdateTable does: sets the capacity, removes indexes, and adds indexes filled from the
 * existing items. An index is rebuilt (removed and added) in two cases: its keys or its projection change, or an
 * earlier call was interrupted before it had filled the index.
 *
 * @returns the names of the added and of the removed indexes
 * @throws Error when the table does not exist
 */
export async function changeTable(store: Store, name: string, change: TableChange) {
  const table = await get(store.tableDb, name);
  if (table === undefined) throw new Error(`ResourceNotFoundException: Table: ${name} not found`);
  const indexes = change.GlobalSecondaryIndexes ?? [];
  const wanted = new Map(indexes.map((index) => [index.IndexName, index]));
  const isKept = (index: GlobalSecondaryIndexDescription) =>
    index.IndexStatus === "ACTIVE" && shape(index) === shape(wanted.get(index.IndexName));
  const existing = table.GlobalSecondaryIndexes ?? [];
  const kept = existing.filter(isKept);
  const removed = existing.filter((index) => !isKept(index)).map((index) => String(index.IndexName));

  await put(store.tableDb, name, withChange(table, change, kept));
  for (const index of removed) await promisify(store.deleteIndexDb)("Global", name, index);

  const names = new Set(kept.map((index) => index.IndexName));
  const added = indexes.filter((index) => !names.has(index.IndexName));
  if (added.length > 0) {
    // From now on, dynalite adds new items to the indexes. `fill` then adds the existing items.
    const filling = added.map((index) => ({ ...description(table, index), IndexStatus: "CREATING" as const }));
    const creating = withChange(table, change, [...kept, ...filling]);
    await put(store.tableDb, name, creating);
    await fill(store, creating, filling);
    const active = filling.map((index) => ({ ...index, IndexStatus: "ACTIVE" as const }));
    await put(store.tableDb, name, withChange(table, change, [...kept, ...active]));
  }
  return { added: added.map((index) => String(index.IndexName)), removed };
}

/** Writes the index entries of all items that have the keys of an index. Locks each item against other writers. */
async function fill(store: Store, table: Table, indexes: GlobalSecondaryIndexDescription[]): Promise<void> {
  const items = store.getItemDb(table.TableName);
  const types = new Map(table.AttributeDefinitions.map((one) => [one.AttributeName, one.AttributeType]));
  // As in DynamoDB, a new index does not contain items whose key is missing or has the wrong type.
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

function withChange(table: Table, change: TableChange, indexes: GlobalSecondaryIndexDescription[]): Table {
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

function throughput(settings: ProvisionedThroughput | undefined) {
  return { ReadCapacityUnits: 0, WriteCapacityUnits: 0, NumberOfDecreasesToday: 0, ...settings };
}

/** Returns the same text for two indexes with the same keys in the same order and the same projection. */
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

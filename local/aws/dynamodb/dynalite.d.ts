/** Server for DynamoDB's HTTP protocol that stores its tables in LevelDB. */
declare module "dynalite" {
  import type { Server } from "node:http";
  import type { Options } from "dynalite/db/index.js";

  export default function dynalite(options: Options): Server;
}

/** The database of dynalite. */
declare module "dynalite/db/index.js" {
  import type { Readable } from "node:stream";
  import type {
    AttributeDefinition,
    AttributeValue,
    GlobalSecondaryIndexDescription,
    KeySchemaElement,
  } from "@aws-sdk/client-dynamodb";

  /**
   * `path` is the LevelDB folder. A table stays in the state CREATING, DELETING or UPDATING for the given milliseconds.
   */
  export interface Options {
    path?: string;
    createTableMs?: number;
    deleteTableMs?: number;
    updateTableMs?: number;
  }

  export type Item = Record<string, AttributeValue>;
  type Done = (error?: Error | null) => void;

  /** A table as DescribeTable returns it. */
  export interface Table {
    TableName: string;
    TableArn: string;
    TableStatus: string;
    AttributeDefinitions: AttributeDefinition[];
    KeySchema: KeySchemaElement[];
    BillingModeSummary?: { BillingMode: string };
    ProvisionedThroughput?: object;
    GlobalSecondaryIndexes?: GlobalSecondaryIndexDescription[];
  }

  export interface Entries<T> {
    get(key: string, done: (error: Error | null, value?: T) => void): void;
    put(key: string, value: T, done: Done): void;
    createValueStream(range: object): Readable;
    /**
     * Runs `work` when the key is free. `release(then)` returns a function that frees the key and then calls `then`.
     */
    lock(key: string, work: (release: (then: () => void) => () => void) => void): void;
  }

  export interface Store {
    tableDb: Entries<Table>;
    getItemDb(table: string): Entries<Item>;
    getIndexDb(kind: "Global", table: string, index: string): Entries<Item>;
    deleteIndexDb(kind: "Global", table: string, index: string, done: Done): void;
  }

  const database: {
    create(options: Options): Store;
    createKey(item: Item, table: Table): string;
    /** Returns the index entries to write for a changed item. Pass only an item that the indexes do not contain yet. */
    getIndexActions(
      indexes: GlobalSecondaryIndexDescription[],
      existing: undefined,
      item: Item,
      table: Table,
    ): { puts: { index: string; key: string; item: Item }[] };
  };
  export default database;
}

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  type KeySchemaElement,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import type { Store } from "dynalite/db/index.js";
import { z } from "zod";
import type { Events } from "../../support/events";
import type { Listening } from "../../support/http";
import type { AwsResource } from "../support/account";
import type { Effects, ResourceType } from "../support/resource";
import { text } from "../support/values";
import { changeTable, openDynalite, type TableChange } from "./indexes";

const attribute = z.object({ name: z.string(), type: z.enum(["S", "N", "B"]) });
const keySchema = z.object({ attributeName: z.string(), keyType: z.enum(["HASH", "RANGE"]) });
const index = z
  .looseObject({
    name: z.string().regex(/^[\w.-]{3,255}$/, "must be 3 to 255 of letters, digits and _.-"),
    hashKey: z.string().optional(),
    rangeKey: z.string().optional(),
    keySchemas: z.array(keySchema).optional(),
    projectionType: z.enum(["ALL", "KEYS_ONLY", "INCLUDE"]),
    nonKeyAttributes: z.array(z.string()).optional(),
    readCapacity: z.number().int().positive().optional(),
    writeCapacity: z.number().int().positive().optional(),
  })
  .check(({ value, issues }) => {
    const complain = (property: string, message: string) =>
      issues.push({ code: "custom", path: [property], message, input: value });
    const { hashKey, rangeKey, keySchemas, projectionType, nonKeyAttributes = [] } = value;
    if ((hashKey === undefined && rangeKey === undefined) === (keySchemas === undefined))
      complain("keySchemas", "give either keySchemas or hashKey with or without rangeKey");
    else if (
      !/^HASH(,RANGE)?$/.test(
        indexKeys(value)
          .map((key) => key.KeyType)
          .join(),
      )
    )
      complain("keySchemas", "must be a HASH key, and after it at most one RANGE key: the local DynamoDB has no more");
    if (projectionType === "INCLUDE" && nonKeyAttributes.length === 0)
      complain("nonKeyAttributes", "ProjectionType is INCLUDE, but NonKeyAttributes is not specified");
    if (projectionType !== "INCLUDE" && nonKeyAttributes.length > 0)
      complain("nonKeyAttributes", `ProjectionType is ${projectionType}, but NonKeyAttributes is specified`);
  });

const tableInputs = z
  .looseObject({
    name: z
      .string()
      .regex(/^[\w.-]{3,255}$/, "must be 3 to 255 of letters, digits and _.-")
      .optional(),
    attributes: z.array(attribute),
    hashKey: z.string(),
    rangeKey: z.string().optional(),
    billingMode: z.enum(["PROVISIONED", "PAY_PER_REQUEST"]).default("PROVISIONED"),
    readCapacity: z.number().int().positive().optional(),
    writeCapacity: z.number().int().positive().optional(),
    globalSecondaryIndexes: z.array(index).max(20).default([]),
    ttl: z.looseObject({ attributeName: z.string().optional(), enabled: z.boolean().optional() }).optional(),
    pointInTimeRecovery: z.looseObject({ enabled: z.boolean() }).optional(),
    deletionProtectionEnabled: z.boolean().optional(),
  })
  .check(({ value, issues }) => {
    const keys = new Set([
      value.hashKey,
      value.rangeKey,
      ...value.globalSecondaryIndexes.flatMap((one) => indexKeys(one).map((key) => key.AttributeName)),
    ]);
    const declared = new Set(value.attributes.map((one) => one.name));
    const complain = (path: PropertyKey[], message: string) =>
      issues.push({ code: "custom", path, message, input: value });
    for (const key of keys) {
      if (key !== undefined && !declared.has(key)) complain(["attributes"], `must declare the key attribute ${key}`);
    }
    for (const name of declared) {
      if (!keys.has(name)) complain(["attributes"], `all attributes must be indexed: ${name} is no key`);
    }
    if (value.ttl?.enabled === true && !value.ttl.attributeName)
      complain(["ttl", "attributeName"], "is required when ttl is enabled");
    const provisioned = value.readCapacity !== undefined && value.writeCapacity !== undefined;
    if (value.billingMode === "PROVISIONED" && !provisioned)
      complain(
        ["billingMode"],
        "PROVISIONED needs readCapacity and writeCapacity; the other choice is PAY_PER_REQUEST",
      );
    const names = new Set<string>();
    for (const [at, one] of value.globalSecondaryIndexes.entries()) {
      const path = ["globalSecondaryIndexes", at];
      if (names.has(one.name)) complain([...path, "name"], `Duplicate index name: ${one.name}`);
      names.add(one.name);
      if (value.billingMode === "PROVISIONED" && !(one.readCapacity && one.writeCapacity))
        complain([...path, "readCapacity"], "and writeCapacity must be > 0 when billing mode is PROVISIONED");
    }
  });

/** aws:dynamodb/table:Table. PITR and TTL are kept as settings: real TTL deletes days late too. */
export const table: ResourceType = {
  type: "aws:dynamodb/table:Table",
  inputs: tableInputs,
  replaceOn: ["name", "hashKey", "rangeKey", "localSecondaryIndexes"],
  sets: ["attributes", "globalSecondaryIndexes", "localSecondaryIndexes", "nonKeyAttributes"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ResourceInUseException: Table already exists",
  defaults: { billingMode: "PROVISIONED", deletionProtectionEnabled: false, tableClass: "STANDARD" },
  computed: {
    arn: ({ id, account }) => account.arn("dynamodb", `table/${id}`),
    streamArn: () => "",
    streamLabel: () => "",
  },
};

/** DynamoDB on this machine: one endpoint, tables in a folder. */
export interface Dynamodb extends Listening {
  effects: Effects;
}

/** Starts DynamoDB on a free loopback port, its tables kept below `path`. */
export async function startDynamodb(path: string, region: string, events: Events): Promise<Dynamodb> {
  const { server, store } = openDynalite({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  const underWay = new Set<ServerResponse>();
  server.on("request", (request, response) => {
    watch(request, response, underWay);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("finish", () => {
      const operation = String(request.headers["x-amz-target"]).split(".").pop();
      events.emit({ source: "dynamodb", summary: `${operation} ${tableName(chunks)} → ${response.statusCode}` });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://localhost:${port}`;
  const client = new DynamoDBClient({
    endpoint: url,
    region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    requestHandler: { connectionTimeout: 2_000, requestTimeout: 10_000 },
  });
  return {
    url,
    port,
    effects: tableEffects(client, store, events),
    async close() {
      client.destroy();
      await closed(server, underWay);
    },
  };
}

function tableEffects(client: DynamoDBClient, store: Store, events: Events): Effects {
  const wait = { client, maxWaitTime: 10, minDelay: 1, maxDelay: 1 };
  return {
    async create({ id, outputs }) {
      const inputs = tableInputs.parse(outputs);
      await client.send(
        new CreateTableCommand({
          TableName: id,
          KeySchema: keys(inputs.hashKey, inputs.rangeKey),
          BillingMode: inputs.billingMode,
          ...changeable(inputs),
        }),
      );
      await waitUntilTableExists(wait, { TableName: id });
      return undefined;
    },
    async update({ id, outputs }) {
      const { added, removed } = await changeTable(store, id, changeable(tableInputs.parse(outputs)));
      const changed = [...removed.map((name) => `-${name}`), ...added.map((name) => `+${name}`)];
      if (changed.length > 0) events.emit({ source: "dynamodb", summary: `UpdateTable ${id} ${changed.join(" ")}` });
      return undefined;
    },
    async delete(resource: AwsResource) {
      if (resource.outputs.deletionProtectionEnabled === true) {
        throw new Error(
          "ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        );
      }
      try {
        await client.send(new DeleteTableCommand({ TableName: resource.id }));
      } catch (error) {
        if (error instanceof Error && error.name === "ResourceNotFoundException") return;
        throw error;
      }
      await waitUntilTableNotExists(wait, { TableName: resource.id });
    },
  };
}

type TableInputs = z.infer<typeof tableInputs>;
type Index = z.infer<typeof index>;

/** What of a table may change while it exists. */
function changeable(inputs: TableInputs): TableChange {
  const indexes = inputs.globalSecondaryIndexes.map((one) => ({
    IndexName: one.name,
    KeySchema: indexKeys(one),
    Projection: {
      ProjectionType: one.projectionType,
      ...(one.nonKeyAttributes === undefined ? {} : { NonKeyAttributes: one.nonKeyAttributes }),
    },
    ...capacity(inputs, one),
  }));
  return {
    AttributeDefinitions: inputs.attributes.map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
    ...capacity(inputs, inputs),
    ...(indexes.length === 0 ? {} : { GlobalSecondaryIndexes: indexes }),
  };
}

function keys(hashKey: string | undefined, rangeKey: string | undefined): KeySchemaElement[] {
  return [
    ...(hashKey === undefined ? [] : [{ AttributeName: hashKey, KeyType: "HASH" as const }]),
    ...(rangeKey === undefined ? [] : [{ AttributeName: rangeKey, KeyType: "RANGE" as const }]),
  ];
}

/** An index names its keys in one of two ways: `hashKey`/`rangeKey`, or since 7.x `keySchemas`. */
function indexKeys(one: Index): KeySchemaElement[] {
  return (
    one.keySchemas?.map(({ attributeName, keyType }) => ({ AttributeName: attributeName, KeyType: keyType })) ??
    keys(one.hashKey, one.rangeKey)
  );
}

function capacity(
  { billingMode }: TableInputs,
  { readCapacity, writeCapacity }: Pick<Index, "readCapacity" | "writeCapacity">,
) {
  if (billingMode === "PAY_PER_REQUEST") return {};
  return { ProvisionedThroughput: { ReadCapacityUnits: readCapacity, WriteCapacityUnits: writeCapacity } };
}

function tableName(chunks: Buffer[]): string {
  try {
    return JSON.parse(Buffer.concat(chunks).toString()).TableName ?? "";
  } catch {
    return "";
  }
}

/** How long requests under way may take when the server is to close. */
const LAST_REQUESTS_MS = 5_000;

/** Keeps a request in `underWay` until dynalite is done with it, which it is not when its client has hung up. */
function watch(request: IncomingMessage, response: ServerResponse, underWay: Set<ServerResponse>): void {
  underWay.add(response);
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  response.end = (...args: unknown[]) => {
    underWay.delete(response);
    return end(...args);
  };
  // One that has not come whole is never begun.
  request.once("close", () => request.complete || underWay.delete(response));
}

/**
 * dynalite closes its database after the last connection, and goes on with what a client that was ended has left: on a
 * closed database that would be an error nobody catches. Clients keep connections alive, so these are ended.
 */
async function closed(server: Server, underWay: Set<ServerResponse>): Promise<void> {
  const until = Date.now() + LAST_REQUESTS_MS;
  while (underWay.size > 0 && Date.now() < until) await sleep(5);
  await new Promise<void>((resolve, reject) => {
    server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}

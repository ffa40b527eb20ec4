import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  type GlobalSecondaryIndex,
  type KeySchemaElement,
  type Projection,
  UpdateTableCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { z } from "zod";
import type { Events } from "../events";
import type { Listening } from "../http";
import type { AwsResource } from "./account";
import type { Effects, ResourceType } from "./resource";
import { text } from "./values";

const attribute = z.object({ name: z.string(), type: z.enum(["S", "N", "B"]) });
const keySchema = z.object({ attributeName: z.string(), keyType: z.enum(["HASH", "RANGE"]) });
const index = z.looseObject({
  name: z.string(),
  hashKey: z.string().optional(),
  rangeKey: z.string().optional(),
  keySchemas: z.array(keySchema).optional(),
  projectionType: z.enum(["ALL", "KEYS_ONLY", "INCLUDE"]),
  nonKeyAttributes: z.array(z.string()).optional(),
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
    globalSecondaryIndexes: z.array(index).default([]),
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
    const complain = (path: string[], message: string) => issues.push({ code: "custom", path, message, input: value });
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
  });

/** aws:dynamodb/table:Table. PITR and TTL are kept as settings: real TTL deletes days late too. */
export const table: ResourceType = {
  type: "aws:dynamodb/table:Table",
  inputs: tableInputs,
  replaceOn: ["name", "hashKey", "rangeKey", "localSecondaryIndexes"],
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
  const server = dynalite({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  server.on("request", (request, response) => {
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
    effects: tableEffects(client),
    async close() {
      client.destroy();
      await closed(server);
    },
  };
}

function tableEffects(client: DynamoDBClient): Effects {
  const wait = { client, maxWaitTime: 10, minDelay: 1, maxDelay: 1 };
  return {
    async create({ id, outputs }) {
      const inputs = tableInputs.parse(outputs);
      await client.send(
        new CreateTableCommand({
          TableName: id,
          AttributeDefinitions: attributes(inputs),
          KeySchema: keys(inputs.hashKey, inputs.rangeKey),
          BillingMode: inputs.billingMode,
          ...capacity(inputs),
          ...(inputs.globalSecondaryIndexes.length === 0
            ? {}
            : {
                GlobalSecondaryIndexes: inputs.globalSecondaryIndexes.map((one) => ({
                  ...indexOf(one),
                  ...capacity(inputs),
                })),
              }),
        }),
      );
      await waitUntilTableExists(wait, { TableName: id });
      return undefined;
    },
    async update({ id, outputs }, previous) {
      const next = tableInputs.parse(outputs);
      const old = tableInputs.parse(previous.outputs);
      const update = (change: object) => client.send(new UpdateTableCommand({ TableName: id, ...change }));
      if (
        next.billingMode !== old.billingMode ||
        next.readCapacity !== old.readCapacity ||
        next.writeCapacity !== old.writeCapacity
      ) {
        await update({ BillingMode: next.billingMode, ...capacity(next) });
      }
      const change = indexNames(next).join() !== indexNames(old).join();
      if (change)
        throw new Error(
          "globalSecondaryIndexes: the local DynamoDB cannot change indexes of a table that exists. Destroy the table first.",
        );
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

function attributes(inputs: TableInputs) {
  return inputs.attributes.map(({ name, type }) => ({ AttributeName: name, AttributeType: type }));
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

function indexOf(one: Index): GlobalSecondaryIndex {
  const projection: Projection = {
    ProjectionType: one.projectionType,
    ...(one.nonKeyAttributes === undefined ? {} : { NonKeyAttributes: one.nonKeyAttributes }),
  };
  return { IndexName: one.name, KeySchema: indexKeys(one), Projection: projection };
}

function indexNames(inputs: TableInputs): string[] {
  return inputs.globalSecondaryIndexes.map((one) => one.name).sort();
}

function capacity({ billingMode, readCapacity, writeCapacity }: TableInputs) {
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

/** dynalite closes its database after the last connection; clients keep theirs alive, so these are ended. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}

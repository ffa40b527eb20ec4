import { promisify } from "node:util";
import {
  BatchGetItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  ResourceNotFoundException,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import database, { type Table } from "dynalite/db/index.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changeTable, openDynalite } from "../../../local/aws/dynamodb/indexes";
import { startTestCloud } from "./fixture";
import { putRole } from "./roles";

const TABLE = "aws:dynamodb/table:Table";
const S = (name: string) => ({ name, type: "S" });
const plain = {
  hashKey: "user_id",
  attributes: [S("user_id")],
  billingMode: "PAY_PER_REQUEST",
  pointInTimeRecovery: { enabled: true },
};
const byCustomer = { name: "by_customer", hashKey: "customer", projectionType: "KEYS_ONLY" };
const byReview = {
  name: "by_review",
  keySchemas: [
    { attributeName: "review_shard", keyType: "HASH" },
    { attributeName: "review_at", keyType: "RANGE" },
  ],
  projectionType: "INCLUDE",
  nonKeyAttributes: ["plan", "email"],
};
const indexed = {
  ...plain,
  attributes: [S("user_id"), S("customer"), S("review_shard"), { name: "review_at", type: "N" }],
  globalSecondaryIndexes: [byCustomer, byReview],
};

function clientOf(endpoint: string, accessKeyId = "x") {
  return new DynamoDBClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId, secretAccessKey: "x" },
    maxAttempts: 1,
  });
}

describe("DynamoDB table", () => {
  it("can be read and written with the AWS SDK until its Pulumi resource is deleted", async () => {
    await using cloud = await startTestCloud();
    const client = clientOf(cloud.aws.endpoints.dynamodb);
    const table = await cloud.engine.create(TABLE, "users", indexed);
    expect(table.outputs).toMatchObject({
      arn: `arn:aws:dynamodb:us-east-1:000000000000:table/${table.id}`,
      name: table.id,
    });
    const Key = { user_id: { S: "u1" } };
    await client.send(new PutItemCommand({ TableName: table.id, Item: { ...Key, plan: { S: "vip" } } }));
    const { Item } = await client.send(new GetItemCommand({ TableName: table.id, Key, ConsistentRead: true }));
    expect(Item?.plan).toEqual({ S: "vip" });
    await cloud.engine.delete(table);
    await expect(client.send(new GetItemCommand({ TableName: table.id, Key }))).rejects.toThrow(
      ResourceNotFoundException,
    );
    client.destroy();
  });

  it("lets a function do only what the policy of its role allows", async () => {
    await using cloud = await startTestCloud();
    const { engine } = cloud;
    const [own, other] = [await engine.create(TABLE, "own", plain), await engine.create(TABLE, "other", plain)];
    const { accessKeyId } = putRole(cloud.aws.account, "guest", {
      Action: ["dynamodb:UpdateItem", "dynamodb:BatchGetItem"],
      Resource: [String(own.outputs.arn)],
      Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["rate#guest#*"] } },
    });
    const client = clientOf(cloud.aws.endpoints.dynamodb, accessKeyId);
    const Key = (user_id: string) => ({ user_id: { S: user_id } });
    const outcome = async (sent: Promise<unknown>) =>
      sent.then(
        () => "ok",
        (error: Error) => error.name,
      );
    const update = (TableName: string, key: string) =>
      outcome(client.send(new UpdateItemCommand({ TableName, Key: Key(key) })));
    const read = (...keys: string[]) =>
      outcome(client.send(new BatchGetItemCommand({ RequestItems: { [own.id]: { Keys: keys.map(Key) } } })));
    expect(await update(own.id, "rate#guest#1")).toBe("ok");
    expect(await update(own.id, "usage#user#1")).toBe("AccessDeniedException");
    expect(await update(own.id, "xrate#guest#1")).toBe("AccessDeniedException");
    expect(await update(other.id, "rate#guest#1")).toBe("AccessDeniedException");
    expect(await read("rate#guest#1", "rate#guest#2")).toBe("ok");
    expect(await read("rate#guest#1", "rate#sync#1")).toBe("AccessDeniedException");
    const get = new GetItemCommand({ TableName: own.id, Key: Key("rate#guest#1") });
    expect(await outcome(client.send(get))).toBe("AccessDeniedException");
    client.destroy();
  });

  it("throttles the given share of the functions' requests, but never throttles other callers", async () => {
    await using cloud = await startTestCloud();
    const { engine } = cloud;
    const { dynamodb } = cloud.aws.endpoints;
    const table = await engine.create(TABLE, "users", plain);
    const { accessKeyId } = putRole(cloud.aws.account, "plan", {
      Action: ["dynamodb:GetItem"],
      Resource: [String(table.outputs.arn)],
    });
    const get = new GetItemCommand({ TableName: table.id, Key: { user_id: { S: "u1" } } });
    const readAs = async (caller?: string) => {
      const client = clientOf(dynamodb, caller);
      await client.send(get).finally(() => client.destroy());
    };
    const throttle = (throttledShare: number) =>
      fetch(`${dynamodb}/admin/switches`, { method: "PATCH", body: JSON.stringify({ throttledShare }) });
    expect(await (await throttle(1)).json()).toEqual({ throttledShare: 1 });
    await expect(readAs(accessKeyId)).rejects.toMatchObject({ name: "ThrottlingException" });
    await readAs();
    await throttle(0);
    await readAs(accessKeyId);
    expect((await throttle(2)).status).toBe(400);
  });

  it("rejects deletion while deletion protection is on", async () => {
    await using cloud = await startTestCloud();
    const table = await cloud.engine.create(TABLE, "users", { ...indexed, deletionProtectionEnabled: true });
    await expect(cloud.engine.delete(table)).rejects.toThrow(/protected against deletion/);
    await cloud.engine.delete(await cloud.engine.update(table, { ...indexed, deletionProtectionEnabled: false }));
    expect(cloud.aws.account.list(TABLE)).toEqual([]);
  });

  it("is replaced when its key changes", async () => {
    await using cloud = await startTestCloud();
    const table = await cloud.engine.create(TABLE, "users", indexed);
    const found = await cloud.engine.diff(table, { ...indexed, hashKey: "customer" });
    expect(found.replaces).toEqual(["hashKey"]);
  });
});

describe("Global secondary index", () => {
  let cloud: Awaited<ReturnType<typeof startTestCloud>>;
  let client: DynamoDBClient;
  beforeAll(async () => {
    cloud = await startTestCloud();
    client = clientOf(cloud.aws.endpoints.dynamodb);
  });
  afterAll(async () => {
    client.destroy();
    await cloud[Symbol.asyncDispose]();
  });

  const put = (TableName: string, user_id: string, more: Record<string, string | number>) =>
    client.send(
      new PutItemCommand({
        TableName,
        Item: {
          user_id: { S: user_id },
          ...Object.fromEntries(
            Object.entries(more).map(([name, value]) => [
              name,
              typeof value === "number" ? { N: String(value) } : { S: value },
            ]),
          ),
        },
      }),
    );

  const query = async (input: QueryCommandInput) => (await client.send(new QueryCommand(input))).Items;
  const customer = (TableName: string, value: string) =>
    query({
      TableName,
      IndexName: "by_customer",
      KeyConditionExpression: "customer = :c",
      ExpressionAttributeValues: { ":c": { S: value } },
    });
  const due = (TableName: string, until: number) =>
    query({
      TableName,
      IndexName: "by_review",
      KeyConditionExpression: "review_shard = :s AND review_at <= :t",
      ExpressionAttributeValues: { ":s": { S: "0" }, ":t": { N: String(until) } },
    });
  const names = async (TableName: string) => {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    return Table?.GlobalSecondaryIndexes?.map((one) => one.IndexName).sort();
  };

  it("contains only the items that have the index keys, with the projected attributes", async () => {
    const { id } = await cloud.engine.create(TABLE, "created", indexed);
    await put(id, "u1", { customer: "cus_1", plan: "vip", review_shard: "0", review_at: 20 });
    await put(id, "u2", { plan: "free" });
    await put(id, "u3", { plan: "free", review_shard: "0", review_at: 10, note: "x" });

    expect(await customer(id, "cus_1")).toEqual([{ user_id: { S: "u1" }, customer: { S: "cus_1" } }]);
    const [first, second] = (await due(id, 20)) ?? [];
    expect(first).toEqual({
      user_id: { S: "u3" },
      plan: { S: "free" },
      review_shard: { S: "0" },
      review_at: { N: "10" },
    });
    expect(second?.user_id).toEqual({ S: "u1" });
    expect(await due(id, 15)).toHaveLength(1);

    await client.send(
      new UpdateItemCommand({
        TableName: id,
        Key: { user_id: { S: "u3" } },
        UpdateExpression: "REMOVE review_shard SET customer = :c",
        ExpressionAttributeValues: { ":c": { S: "cus_3" } },
      }),
    );
    expect(await due(id, 15)).toEqual([]);
    expect(await customer(id, "cus_3")).toHaveLength(1);
  });

  it("is added without replacing the table and is filled from the existing items", async () => {
    const table = await cloud.engine.create(TABLE, "later", plain);
    await Promise.all(Array.from({ length: 60 }, (_, n) => put(table.id, `u${n}`, { customer: `cus_${n % 3}` })));
    await put(table.id, "none", { plan: "free" });
    await put(table.id, "odd", { customer: 7 });
    await put(table.id, "due", { review_shard: "0", review_at: 5, email: "a@example.com", note: "x" });

    const found = await cloud.engine.diff(table, indexed);
    expect(found).toMatchObject({ some: true, replaces: [] });
    const updated = await cloud.engine.update(table, indexed);
    expect(updated.outputs.arn).toBe(table.outputs.arn);
    expect(await names(table.id)).toEqual(["by_customer", "by_review"]);
    expect(await customer(table.id, "cus_1")).toHaveLength(20);
    expect(await due(table.id, 5)).toEqual([
      { user_id: { S: "due" }, review_shard: { S: "0" }, review_at: { N: "5" }, email: { S: "a@example.com" } },
    ]);

    await put(table.id, "new", { customer: "cus_1" });
    await put(table.id, "u1", { customer: "cus_9" });
    expect(await customer(table.id, "cus_1")).toHaveLength(20);
    expect(await customer(table.id, "cus_9")).toHaveLength(1);
  });

  it("is removed without replacing the table or losing items", async () => {
    const table = await cloud.engine.create(TABLE, "less", indexed);
    await put(table.id, "u1", { customer: "cus_1" });
    const less = { ...plain, attributes: [S("user_id"), S("customer")], globalSecondaryIndexes: [byCustomer] };
    expect(await cloud.engine.diff(table, less)).toMatchObject({ some: true, replaces: [] });
    const updated = await cloud.engine.update(table, less);
    expect(await names(table.id)).toEqual(["by_customer"]);
    await expect(due(table.id, 5)).rejects.toThrow(/does not have the specified index/);
    expect(await customer(table.id, "cus_1")).toHaveLength(1);

    await cloud.engine.update(updated, plain);
    await expect(customer(table.id, "cus_1")).rejects.toThrow(/does not have the specified index/);
    // At this point `customer` is not a key of any index, so any type is allowed.
    await put(table.id, "u1", { customer: 1 });
    await cloud.engine.update(updated, less);
    expect(await customer(table.id, "cus_1")).toEqual([]);
  });

  it("is rebuilt when its projection changes", async () => {
    const table = await cloud.engine.create(TABLE, "rebuilt", indexed);
    await put(table.id, "u1", { customer: "cus_1", plan: "vip" });
    const whole = { ...indexed, globalSecondaryIndexes: [{ ...byCustomer, projectionType: "ALL" }, byReview] };
    expect((await cloud.engine.diff(table, whole)).replaces).toEqual([]);
    await cloud.engine.update(table, whole);
    expect(await customer(table.id, "cus_1")).toEqual([
      { user_id: { S: "u1" }, customer: { S: "cus_1" }, plan: { S: "vip" } },
    ]);
  });

  it("shows no change when only the order or the notation of its keys differs", async () => {
    const table = await cloud.engine.create(TABLE, "order", indexed);
    const reordered = {
      ...indexed,
      attributes: indexed.attributes.toReversed(),
      globalSecondaryIndexes: [{ ...byReview, nonKeyAttributes: ["email", "plan"] }, byCustomer],
    };
    expect(await cloud.engine.diff(table, reordered)).toMatchObject({ some: false, diffs: [] });
    const more = [...reordered.globalSecondaryIndexes, { ...byCustomer, name: "by_customer_too" }];
    const { detailed } = await cloud.engine.diff(table, { ...reordered, globalSecondaryIndexes: more });
    expect(Object.keys(detailed)).toEqual(["globalSecondaryIndexes[2]"]);
    const fewer = await cloud.engine.diff(table, { ...indexed, globalSecondaryIndexes: [byReview] });
    expect(Object.keys(fewer.detailed)).toEqual(["globalSecondaryIndexes[0]"]);

    const { hashKey: _, ...rest } = byCustomer;
    const renamed = { ...rest, keySchemas: [{ attributeName: "customer", keyType: "HASH" }] };
    const lines: string[] = [];
    const stop = cloud.events.subscribe(({ summary }) => lines.push(summary));
    lines.length = 0;
    await cloud.engine.update(table, { ...indexed, globalSecondaryIndexes: [renamed, byReview] });
    stop();
    expect(lines.filter((line) => line.startsWith("UpdateTable"))).toEqual([]);
  });

  it("keeps its items after a restart", async () => {
    await using first = await startTestCloud();
    const table = await first.engine.create(TABLE, "kept", plain);
    const before = clientOf(first.aws.endpoints.dynamodb);
    const Item = { user_id: { S: "u1" }, customer: { S: "cus_1" } };
    await before.send(new PutItemCommand({ TableName: table.id, Item }));
    before.destroy();
    const updated = await first.engine.update(table, indexed);
    await first.stop();

    const second = await startTestCloud({ dir: first.dir });
    const after = clientOf(second.aws.endpoints.dynamodb);
    const found = await after.send(
      new QueryCommand({
        TableName: table.id,
        IndexName: "by_customer",
        KeyConditionExpression: "customer = :c",
        ExpressionAttributeValues: { ":c": { S: "cus_1" } },
      }),
    );
    expect(found.Items).toEqual([Item]);
    expect((await second.engine.diff(updated, indexed)).some).toBe(false);
    after.destroy();
    await second.stop();
  });

  it("is rebuilt by the next table change when the previous change was interrupted", async () => {
    const { store } = openDynalite({});
    const index = { IndexName: "by_customer", KeySchema: [{ AttributeName: "customer", KeyType: "HASH" as const }] };
    const change = {
      AttributeDefinitions: ["user_id", "customer"].map((AttributeName) => ({
        AttributeName,
        AttributeType: "S" as const,
      })),
      GlobalSecondaryIndexes: [{ ...index, Projection: { ProjectionType: "ALL" as const } }],
    };
    const table: Table = {
      TableName: "cut",
      TableArn: "arn:cut",
      TableStatus: "ACTIVE",
      KeySchema: [{ AttributeName: "user_id", KeyType: "HASH" }],
      AttributeDefinitions: change.AttributeDefinitions,
      GlobalSecondaryIndexes: change.GlobalSecondaryIndexes.map((one) => ({ ...one, IndexStatus: "CREATING" })),
    };
    const item = { user_id: { S: "u1" }, customer: { S: "cus_1" } };
    await promisify(store.tableDb.put)("cut", table);
    await promisify(store.getItemDb("cut").put)(database.createKey(item, table), item);

    const names = ["by_customer"];
    expect(await changeTable(store, "cut", change)).toEqual({ added: names, removed: names });
    expect(await store.getIndexDb("Global", "cut", "by_customer").createValueStream({}).toArray()).toEqual([item]);
    expect(await changeTable(store, "cut", change)).toEqual({ added: [], removed: [] });
  });

  it("changes its capacity with the billing mode of its table", async () => {
    const table = await cloud.engine.create(TABLE, "billed", indexed);
    const capacity = { readCapacity: 2, writeCapacity: 1 };
    const provisioned = {
      ...indexed,
      ...capacity,
      billingMode: "PROVISIONED",
      globalSecondaryIndexes: indexed.globalSecondaryIndexes.map((one) => ({ ...one, ...capacity, readCapacity: 3 })),
    };
    const units = async () => {
      const { Table } = await client.send(new DescribeTableCommand({ TableName: table.id }));
      return [Table, ...(Table?.GlobalSecondaryIndexes ?? [])].map(
        (one) => one?.ProvisionedThroughput?.ReadCapacityUnits,
      );
    };
    const updated = await cloud.engine.update(table, provisioned);
    expect(await units()).toEqual([2, 3, 3]);
    await cloud.engine.update(updated, indexed);
    expect(await units()).toEqual([0, 0, 0]);
  });

  it.each([
    [[{ ...byCustomer, name: "by" }], "globalSecondaryIndexes[0].name", /3 to 255/],
    [
      [{ ...byCustomer, keySchemas: byReview.keySchemas }],
      "globalSecondaryIndexes[0].keySchemas",
      /either keySchemas, or/,
    ],
    [[{ name: "bare", projectionType: "ALL" }], "globalSecondaryIndexes[0].keySchemas", /either keySchemas, or/],
    [
      [{ ...byReview, keySchemas: byReview.keySchemas.toReversed() }],
      "globalSecondaryIndexes[0].keySchemas",
      /one HASH key, then at most one RANGE key/,
    ],
    [[{ ...byCustomer, nonKeyAttributes: ["plan"] }], "globalSecondaryIndexes[0].nonKeyAttributes", /KEYS_ONLY, but/],
    [[{ ...byReview, nonKeyAttributes: [] }], "globalSecondaryIndexes[0].nonKeyAttributes", /INCLUDE, but/],
    [[byCustomer, byReview, byCustomer], "globalSecondaryIndexes[2].name", /Duplicate index name: by_customer/],
    [[{ ...byCustomer, hashKey: "other" }], "attributes", /must declare the key attribute other/],
  ])(
    "is rejected when DynamoDB would reject its inputs (case %#)",
    async (globalSecondaryIndexes, property, reason) => {
      const { failures } = await cloud.engine.check(TABLE, "bad", { ...indexed, globalSecondaryIndexes });
      expect(failures[0]).toMatchObject({ property, reason: expect.stringMatching(reason) });
    },
  );
});

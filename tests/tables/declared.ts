import {
  CreateTableCommand,
  type CreateTableCommandInput,
  type DynamoDBClient,
  type KeySchemaElement,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** A table declared in `infra/data.ts`. */
interface Declared {
  create: Omit<CreateTableCommandInput, "TableName">;
  /** TTL attribute; undefined when items never expire. */
  ttl: string | undefined;
}

/** Runs `infra/data.ts` under Pulumi mocks and returns the tables that it declares. */
export async function declaredTables(): Promise<{ users: Declared; ephemeral: Declared }> {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: ({ token }) => {
      throw new Error(`infra/data.ts calls ${token}`);
    },
  });
  const { Data } = await import("../../infra/data.js");
  const { users, ephemeral } = new Data("data", { config: { deletionProtection: false } });
  return { users: await declared(users.table), ephemeral: await declared(ephemeral.table) };
}

/** Creates a table and waits until it is active. */
export async function makeTable(
  client: DynamoDBClient,
  TableName: string,
  { create, ttl }: Declared,
  { hasTtl }: { hasTtl: boolean },
): Promise<void> {
  await client.send(new CreateTableCommand({ TableName, ...create }));
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 0.02, maxDelay: 0.2 }, { TableName });
  if (!ttl || !hasTtl) return;
  const TimeToLiveSpecification = { AttributeName: ttl, Enabled: true };
  await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
}

async function declared(table: aws.dynamodb.Table): Promise<Declared> {
  const attributes = await known(table.attributes);
  const rangeKey = await known(table.rangeKey);
  const indexes = (await known(table.globalSecondaryIndexes)) ?? [];
  const ttl = await known(table.ttl);
  return {
    create: {
      AttributeDefinitions: attributes.map(({ name, type }) => ({
        AttributeName: name,
        AttributeType: oneOf(["S", "N", "B"], type),
      })),
      KeySchema: [
        { AttributeName: await known(table.hashKey), KeyType: "HASH" },
        ...(rangeKey ? [{ AttributeName: rangeKey, KeyType: "RANGE" as const }] : []),
      ],
      BillingMode: oneOf(["PAY_PER_REQUEST"], await known(table.billingMode)),
      ...(indexes.length > 0 && {
        GlobalSecondaryIndexes: indexes.map(({ name, projectionType, keySchemas = [] }) => ({
          IndexName: name,
          KeySchema: keySchemas.map(indexKey),
          Projection: { ProjectionType: oneOf(["KEYS_ONLY"], projectionType) },
        })),
      }),
    },
    ttl: ttl?.enabled ? ttl.attributeName : undefined,
  };
}

function known<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => {
    pulumi.all([output]).apply(([value]) => resolve(value as T));
  });
}

function indexKey(key: aws.types.output.dynamodb.TableGlobalSecondaryIndexKeySchema): KeySchemaElement {
  return { AttributeName: key.attributeName, KeyType: oneOf(["HASH", "RANGE"], key.keyType) };
}

/**
 * Narrows a string from Pulumi to the allowed values.
 *
 * @throws Error for another value, because this file cannot translate that value for the AWS SDK
 */
function oneOf<const T extends string>(allowed: readonly T[], value: string | undefined): T {
  const found = allowed.find((one) => one === value);
  if (!found) throw new Error(`infra/data.ts has ${value}, but the table tests support only ${allowed.join(" or ")}`);
  return found;
}

import type { KeySchemaElement } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";
import type { TableChange } from "./indexes";

const NAME = z.string().regex(/^[\w.-]{3,255}$/, "must have 3 to 255 characters: letters, digits and _.-");

const attribute = z.object({ name: z.string(), type: z.enum(["S", "N", "B"]) });
const keySchema = z.object({ attributeName: z.string(), keyType: z.enum(["HASH", "RANGE"]) });
const index = z
  .looseObject({
    name: NAME,
    hashKey: z.string().optional(),
    rangeKey: z.string().optional(),
    keySchemas: z.array(keySchema).optional(),
    projectionType: z.enum(["ALL", "KEYS_ONLY", "INCLUDE"]),
    nonKeyAttributes: z.array(z.string()).optional(),
    readCapacity: z.number().int().positive().optional(),
    writeCapacity: z.number().int().positive().optional(),
  })
  .check(({ value, issues }) => {
    const addIssue = (property: string, message: string) =>
      issues.push({ code: "custom", path: [property], message, input: value });
    const { hashKey, rangeKey, keySchemas, projectionType, nonKeyAttributes = [] } = value;
    const keyTypes = indexKeys(value).map((key) => key.KeyType);
    if ((hashKey === undefined && rangeKey === undefined) === (keySchemas === undefined))
      addIssue("keySchemas", "give either keySchemas, or hashKey and optionally rangeKey");
    else if (!/^HASH(,RANGE)?$/.test(keyTypes.join()))
      addIssue(
        "keySchemas",
        "must contain one HASH key, then at most one RANGE key: the local DynamoDB supports no more",
      );
    if (projectionType === "INCLUDE" && nonKeyAttributes.length === 0)
      addIssue("nonKeyAttributes", "ProjectionType is INCLUDE, but NonKeyAttributes is not specified");
    if (projectionType !== "INCLUDE" && nonKeyAttributes.length > 0)
      addIssue("nonKeyAttributes", `ProjectionType is ${projectionType}, but NonKeyAttributes is specified`);
  });

/** Inputs of a table as the local DynamoDB validates them. */
export const tableInputs = z
  .looseObject({
    name: NAME.optional(),
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
    const addIssue = (path: PropertyKey[], message: string) =>
      issues.push({ code: "custom", path, message, input: value });
    for (const key of keys) {
      if (key !== undefined && !declared.has(key)) addIssue(["attributes"], `must declare the key attribute ${key}`);
    }
    for (const name of declared) {
      if (!keys.has(name)) addIssue(["attributes"], `all attributes must be indexed: ${name} is not a key`);
    }
    if (value.ttl?.enabled === true && !value.ttl.attributeName)
      addIssue(["ttl", "attributeName"], "is required when ttl is enabled");
    const provisioned = value.readCapacity !== undefined && value.writeCapacity !== undefined;
    if (value.billingMode === "PROVISIONED" && !provisioned)
      addIssue(
        ["billingMode"],
        "PROVISIONED requires readCapacity and writeCapacity: set both, or use PAY_PER_REQUEST",
      );
    const names = new Set<string>();
    for (const [at, one] of value.globalSecondaryIndexes.entries()) {
      const path = ["globalSecondaryIndexes", at];
      if (names.has(one.name)) addIssue([...path, "name"], `Duplicate index name: ${one.name}`);
      names.add(one.name);
      if (value.billingMode === "PROVISIONED" && !(one.readCapacity && one.writeCapacity))
        addIssue(
          [...path, "readCapacity"],
          "readCapacity and writeCapacity must be > 0 when billingMode is PROVISIONED",
        );
    }
  });

type TableInputs = z.infer<typeof tableInputs>;
type Index = z.infer<typeof index>;

/**
 * aws:dynamodb/table:Table. Settings of point-in-time recovery and TTL are stored but have no effect, so an item stays
 * after its TTL. AWS may also delete an expired item days late.
 */
export const table: ResourceType = {
  type: "aws:dynamodb/table:Table",
  isTaggable: true,
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

/** Returns the settings of a table that an update can change, in the shape of CreateTable. */
export function changeableSettings(inputs: TableInputs): TableChange {
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

/** The key schema of a table or an index. */
export function keys(hashKey: string | undefined, rangeKey: string | undefined): KeySchemaElement[] {
  return [
    ...(hashKey === undefined ? [] : [{ AttributeName: hashKey, KeyType: "HASH" as const }]),
    ...(rangeKey === undefined ? [] : [{ AttributeName: rangeKey, KeyType: "RANGE" as const }]),
  ];
}

/** An index declares its keys in one of two ways: `hashKey` and `rangeKey`, or `keySchemas` (since @pulumi/aws 7). */
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

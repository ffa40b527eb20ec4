import { type AttributeValue, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import type { Tables } from "./tables";

type Item = Record<string, unknown>;

/** Reads a raw row; undefined when it does not exist. */
export function readUser({ client, users }: Tables, user_id: string): Promise<Item | undefined> {
  return read(client, users, marshall({ user_id }));
}

/** Reads a raw item of the ephemeral table; undefined when it does not exist. */
export function readEphemeral({ client, ephemeral }: Tables, pk: string): Promise<Item | undefined> {
  return read(client, ephemeral, marshall({ pk }));
}

/** Writes a row. Replaces the user's existing row, if any. */
export async function plantUser({ client, users }: Tables, row: Item): Promise<void> {
  await client.send(new PutItemCommand({ TableName: users, Item: marshall(row) }));
}

async function read(client: Tables["client"], TableName: string, Key: Record<string, AttributeValue>) {
  const { Item } = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  return Item && unmarshall(Item);
}

import { type AttributeValue, DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { Customer } from "../core/customer";
import { awsClientLimits, dependency } from "../lib/dependency";

/**
 * Reads the `users` table: one row per customer, keyed by Cognito `sub`.
 *
 * @returns a function that returns the customer, or undefined without a row. It throws ApiError `unavailable` when the
 * table cannot be read. It throws an Error when the row does not parse, because an unreadable row must not count as
 * `free`
 */
export function createUsers(tableName: string): (userId: string) => Promise<Customer | undefined> {
  const client = new DynamoDBClient(awsClientLimits);
  return async (userId) => {
    const query = new GetItemCommand({ TableName: tableName, Key: { user_id: { S: userId } }, ConsistentRead: true });
    const { Item } = await dependency("users table", client.send(query));
    return Item && parseRow(Item);
  };
}

/** Parses a row. Throws an Error for an invalid one. */
export function parseRow(item: Record<string, AttributeValue>): Customer {
  return Customer.parse(unmarshall(item));
}

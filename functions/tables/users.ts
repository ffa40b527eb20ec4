import { type AttributeValue, DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { Customer } from "../core/customer";
import { awsClientLimits, dependency } from "../lib/dependency";

/**
 * The `users` table: one row per customer, keyed by Cognito `sub`.
 *
 * @returns a reader: the customer's facts, or undefined without a row. It throws ApiError `unavailable` when the table
 * cannot be read, and an Error for a row that does not parse: an unreadable row must not pass for a free one.
 */
export function createUsers(tableName: string): (userId: string) => Promise<Customer | undefined> {
  const client = new DynamoDBClient(awsClientLimits);
  return async (userId) => {
    const query = new GetItemCommand({ TableName: tableName, Key: { user_id: { S: userId } }, ConsistentRead: true });
    const { Item } = await dependency("users table", client.send(query));
    return Item && parseRow(Item);
  };
}

/** A row of the `users` table. Throws an Error when it is not one. */
export function parseRow(item: Record<string, AttributeValue>): Customer {
  return Customer.parse(unmarshall(item));
}

import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import type { AwsCloud } from "../aws/cloud";

/**
 * Reads customers' rows for the page. Of several stacks in the account, the first one's table is read: `npm start`'s own.
 *
 * @returns a reader, by Cognito `sub`; undefined while there is no table, or no row
 */
export function createRowReader({ account, endpoints }: Pick<AwsCloud, "account" | "endpoints">) {
  const client = new DynamoDBClient({
    endpoint: endpoints.dynamodb,
    region: account.region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    requestHandler: { requestTimeout: 2_000, throwOnRequestTimeout: true },
  });
  return async (userId: string): Promise<Record<string, unknown> | undefined> => {
    const table = account.list("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === "user_id");
    if (!table) return undefined;
    const get = new GetItemCommand({ TableName: String(table.outputs.name), Key: { user_id: { S: userId } } });
    const { Item } = await client.send(get);
    return Item && unmarshall(Item);
  };
}

import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import type { AwsAccount } from "../aws/support/account";
import { customers } from "./customers";

/**
 * Gives the seeded customers their rows, by the grant an operator would make; a row that is there stays as it is.
 *
 * @param endpoint of the local DynamoDB
 */
export async function seedCustomers(account: AwsAccount, endpoint: string): Promise<void> {
  const tables = account.list("aws:dynamodb/table:Table").filter((table) => table.outputs.hashKey === "user_id");
  const client = new DynamoDBClient({
    endpoint,
    region: account.region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const now = new Date().toISOString();
  const rows = tables.flatMap((table) =>
    customers.map((customer) => ({ table: String(table.outputs.name), customer })),
  );
  await Promise.all(
    rows.map(async ({ table, customer: { sub, label } }) => {
      const put = new PutItemCommand({
        TableName: table,
        Item: {
          user_id: { S: sub },
          updated_at: { S: now },
          ...(label !== "free" && { grant_plan: { S: label } }),
        },
        ConditionExpression: "attribute_not_exists(user_id)",
      });
      await client.send(put).catch((error: Error) => {
        if (error.name !== "ConditionalCheckFailedException") throw error;
      });
    }),
  );
  client.destroy();
}

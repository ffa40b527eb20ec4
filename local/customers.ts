import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import type { Plan } from "../contract/plan";
import type { AwsAccount } from "./aws/account";

/** A customer who can sign in on this machine. */
export interface SeededCustomer {
  email: string;
  password: string;
  /** Cognito `sub`, the same in every pool and after every restart. */
  sub: string;
  /** The plan they start with. */
  label: Plan;
}

/** One customer of each plan, all with the same password. */
export const customers: SeededCustomer[] = [
  { email: "free@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001", label: "free" },
  { email: "paid@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0002", label: "paid" },
  { email: "vip@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0003", label: "vip" },
];

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

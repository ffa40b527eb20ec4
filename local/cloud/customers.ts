import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import type { Plan } from "../../contract/plan";
import type { AwsCloud } from "../aws/cloud";
import { localCredentials } from "./awsEndpoints";

/** A customer who can sign in to the local cloud. */
export interface SeededCustomer {
  email: string;
  password: string;
  /** Cognito `sub`. It is the same in every pool and after every restart. */
  sub: string;
  /** Plan of the row that `seedCustomers` creates. */
  label: Plan;
}

/** One customer per plan, all with the same password. */
export const customers: SeededCustomer[] = [
  { email: "free@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001", label: "free" },
  { email: "paid@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0002", label: "paid" },
  { email: "vip@example.com", password: "misaki-mama-1", sub: "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0003", label: "vip" },
];

/** The part of the local AWS that holds the customers' rows. */
type Aws = Pick<AwsCloud, "account" | "endpoints">;

/**
 * Creates the seeded customers' rows in every users table. A row of a paid plan contains an operator's grant; the free
 * plan needs no grant. Keeps existing rows.
 */
export async function seedCustomers(aws: Aws): Promise<void> {
  const client = createClient(aws);
  const rows = usersTables(aws).flatMap((table) => customers.map((customer) => ({ table, ...customer })));
  const now = new Date().toISOString();
  await Promise.all(
    rows.map(async ({ table, sub, label }) => {
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

/**
 * Returns a function that reads customers' rows for the local cloud's page. The function takes a Cognito `sub` and
 * returns the row, or undefined when the table or the row does not exist. It reads the users table of the first stack,
 * which `npm start` creates.
 */
export function createRowReader(aws: Aws) {
  const client = createClient(aws);
  return async (userId: string): Promise<Record<string, unknown> | undefined> => {
    const [table] = usersTables(aws);
    if (!table) return undefined;
    const { Item } = await client.send(new GetItemCommand({ TableName: table, Key: { user_id: { S: userId } } }));
    return Item && unmarshall(Item);
  };
}

function createClient({ account, endpoints }: Aws): DynamoDBClient {
  return new DynamoDBClient({
    endpoint: endpoints.dynamodb,
    region: account.region,
    credentials: localCredentials,
    requestHandler: { requestTimeout: 2_000, throwOnRequestTimeout: true },
  });
}

/** Names of the users tables, one per stack. */
function usersTables({ account }: Aws): string[] {
  const tables = account.list("aws:dynamodb/table:Table").filter(({ outputs }) => outputs.hashKey === "user_id");
  return tables.map(({ outputs }) => String(outputs.name));
}

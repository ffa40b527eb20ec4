import { DescribeContinuousBackupsCommand, DescribeTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain } from "./stackResources";

/** Facts about one table. */
export interface TableFacts {
  name: string;
  /** Attribute of the partition key. It tells the tables of a stack apart. */
  key: string;
  status: string;
  isProtected: boolean;
  /** Whether point-in-time recovery is on. */
  canRecover: boolean;
}

/** Partition key of each table. */
const keys = { users: "user_id", ephemeral: "pk" } as const;

/**
 * Checks that both tables exist and answer, and that the customers' rows cannot be lost.
 *
 * @param deletionProtection `deletionProtection` of the configuration
 */
export function judgeTables(tables: TableFacts[], deletionProtection: boolean): Check[] {
  return Object.entries(keys).map(([table, key]) => {
    const label = `${table} table`;
    const found = tables.find((each) => each.key === key);
    if (!found) return failed(label, "AWS has no such table with the stack's tags", missingTodo(table));
    const { name, status, isProtected, canRecover } = found;
    if (status === "UPDATING") return warning(label, `${name} is being changed`, "Check again in some minutes.");
    if (status !== "ACTIVE") return failed(label, `${name} has the status ${status}`, statusTodo(status));
    if (table !== "users") return ok(label, name);
    if (!canRecover) {
      const seen = `${name} has no point-in-time recovery: deleted rows of customers are lost`;
      return warning(label, seen, 'Run "pulumi up --refresh".');
    }
    if (isProtected !== deletionProtection) {
      const seen = `deletion protection of ${name} is ${onOff(isProtected)}, configured ${onOff(deletionProtection)}`;
      return warning(label, seen, 'Run "pulumi up --refresh".');
    }
    return ok(label, `${name}, with point-in-time recovery; deletion protection ${onOff(isProtected)}`);
  });
}

/** Reads the stack's tables. */
export async function checkTables(names: string[], deletionProtection: boolean, aws: Aws): Promise<Check[]> {
  const client = new DynamoDBClient(awsClient("dynamodb", aws));
  const tables = await Promise.all(
    names.map(async (TableName): Promise<TableFacts[]> => {
      const input = { TableName };
      try {
        const [{ Table }, { ContinuousBackupsDescription }] = await Promise.all([
          client.send(new DescribeTableCommand(input)),
          client.send(new DescribeContinuousBackupsCommand(input)),
        ]);
        const recovery = ContinuousBackupsDescription?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus;
        return [
          {
            name: TableName,
            key: Table?.KeySchema?.find(({ KeyType }) => KeyType === "HASH")?.AttributeName ?? "",
            status: Table?.TableStatus ?? "",
            isProtected: Table?.DeletionProtectionEnabled === true,
            canRecover: recovery === "ENABLED",
          },
        ];
      } catch (error) {
        // The tags of a deleted table stay for some time.
        if (error instanceof Error && /^(Resource|Table)NotFoundException$/.test(error.name)) return [];
        throw error;
      }
    }),
  );
  return judgeTables(tables.flat(), deletionProtection);
}

function missingTodo(table: string): string {
  return table === "users"
    ? `Restore it from a backup first: docs/operations.md. ${createAgain}`
    : `${createAgain} Its counters start again.`;
}

function statusTodo(status: string): string {
  if (status === "INACCESSIBLE_ENCRYPTION_CREDENTIALS")
    return "Give DynamoDB access to its key again in the KMS console within seven days.";
  return "Look at the table in DynamoDB's console.";
}

function onOff(isOn: boolean): string {
  return isOn ? "on" : "off";
}

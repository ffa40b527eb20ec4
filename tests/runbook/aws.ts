import { CognitoIdentityProviderClient, ListUsersCommand } from "@aws-sdk/client-cognito-identity-provider";
import {
  type AttributeValue,
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteItemCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  ScanCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { localCredentials, readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import type { LocalCloud } from "../../local/cloud/cloud";
import { needed, type Parsed, parseCommand } from "./options";

const value = "value" as const;
const flag = "flag" as const;

/** The accepted commands and their options. */
const commands: Parameters<typeof parseCommand>[2] = {
  "sts get-caller-identity": { options: {} },
  "service-quotas request-service-quota-increase": {
    options: { "--service-code": value, "--quota-code": value, "--desired-value": value },
  },
  "sesv2 create-email-identity": { options: { "--email-identity": value } },
  "sesv2 put-account-details": {
    options: {
      "--production-access-enabled": flag,
      "--mail-type": value,
      "--website-url": value,
      "--use-case-description": value,
    },
  },
  "sesv2 get-account": { options: {} },
  "sesv2 get-email-identity": { options: { "--email-identity": value } },
  "logs describe-query-definitions": { options: { "--query-definition-name-prefix": value } },
  "dynamodb list-tables": { options: {} },
  "dynamodb scan": { options: { "--table-name": value } },
  "dynamodb get-item": { options: { "--table-name": value, "--key": value, "--consistent-read": flag } },
  "dynamodb put-item": { options: { "--table-name": value, "--item": value, "--condition-expression": value } },
  "dynamodb delete-item": { options: { "--table-name": value, "--key": value } },
  "dynamodb delete-table": { options: { "--table-name": value } },
  "dynamodb list-backups": { options: { "--backup-type": value } },
  "dynamodb restore-table-to-point-in-time": {
    options: { "--source-table-name": value, "--target-table-name": value, "--restore-date-time": value },
  },
  "dynamodb restore-table-from-backup": { options: { "--target-table-name": value, "--backup-arn": value } },
  "dynamodb wait table-exists": { options: { "--table-name": value } },
  "cognito-idp admin-delete-user": { options: { "--user-pool-id": value, "--username": value } },
};

/** Rows and keys of a table at a moment, from which DynamoDB restores it. */
interface Backup {
  table: string;
  at: Date;
  items: Record<string, AttributeValue>[];
  schema: Pick<CreateTableCommandInput, "KeySchema" | "AttributeDefinitions" | "GlobalSecondaryIndexes">;
}

/**
 * The AWS command line over a local cloud. DynamoDB's commands change the local tables. The local DynamoDB has no backups,
 * so the test takes one at the moment that the runbook restores.
 */
export class AwsStandIn {
  private readonly dynamodb: DynamoDBClient;
  private readonly cognito: CognitoIdentityProviderClient;
  private readonly backups: Backup[] = [];

  constructor(
    private readonly cloud: LocalCloud,
    dir: string,
  ) {
    const { region } = cloud.aws.account;
    const endpoints = readAwsEndpoints(dir);
    const at = (endpoint: string) => ({ endpoint, region, credentials: localCredentials });
    this.dynamodb = new DynamoDBClient(at(endpoints.dynamodb));
    this.cognito = new CognitoIdentityProviderClient(at(endpoints.cognito));
  }

  /** Name of the stack's users table. */
  usersTable(stack: string): Promise<string> {
    return this.tableName(stack, "users");
  }

  /** Name of a table of a stack. */
  async tableName(stack: string, table: "users" | "ephemeral"): Promise<string> {
    const { TableNames = [] } = await this.dynamodb.send(new ListTablesCommand({}));
    const name = TableNames.find((each) => each.startsWith(`snack-misaki-${stack}-${table}-`));
    if (!name) throw new Error(`${stack} has no table ${table}: ${TableNames}`);
    return name;
  }

  /** All rows of a table. */
  async rows(table: string): Promise<Record<string, AttributeValue>[]> {
    return (await this.dynamodb.send(new ScanCommand({ TableName: table }))).Items ?? [];
  }

  /** Deletes a row, as a mistake would. */
  async loseRow(table: string, userId: string): Promise<void> {
    await this.dynamodb.send(new DeleteItemCommand({ TableName: table, Key: { user_id: { S: userId } } }));
  }

  /** Deletes a table, as a mistake would. */
  async loseTable(table: string): Promise<void> {
    await this.dynamodb.send(new DeleteTableCommand({ TableName: table }));
  }

  /** Writes a row. */
  async writeRow(table: string, row: Record<string, AttributeValue>): Promise<void> {
    await this.dynamodb.send(new PutItemCommand({ TableName: table, Item: row }));
  }

  /** Stores the present rows of a table, as DynamoDB's point-in-time recovery does at each moment. */
  async backUp(table: string): Promise<void> {
    const items = await this.rows(table);
    const { Table = {} } = await this.dynamodb.send(new DescribeTableCommand({ TableName: table }));
    const { KeySchema, AttributeDefinitions, GlobalSecondaryIndexes = [] } = Table;
    const indexes = GlobalSecondaryIndexes.map(({ IndexName, KeySchema, Projection }) => ({
      IndexName,
      KeySchema,
      Projection,
    }));
    const schema = { KeySchema, AttributeDefinitions, GlobalSecondaryIndexes: indexes };
    this.backups.push({ table, at: new Date(), items, schema });
  }

  /** Runs a command. Returns what it prints. Throws an Error with the command's message, which names AWS's error. */
  async run(args: string[]): Promise<string> {
    const parsed = parseCommand("aws", args, commands);
    const answer = await this.answer(parsed).catch((error: Error) => {
      throw new Error(`An error occurred (${error.name}): ${error.message}`, { cause: error });
    });
    return answer === undefined ? "" : `${JSON.stringify(answer)}\n`;
  }

  private async answer(parsed: Parsed): Promise<object | undefined> {
    const { name, options } = parsed;
    const { account } = this.cloud.aws;
    switch (name) {
      case "sts get-caller-identity":
        return { Account: "000000000000", Arn: "arn:aws:iam::000000000000:user/operator" };
      case "service-quotas request-service-quota-increase":
        if (needed(parsed, "--service-code") !== "lambda" || needed(parsed, "--quota-code") !== "L-B99A9384")
          throw new Error("NoSuchResourceException: the quota does not exist");
        return { RequestedQuota: { Status: "PENDING", DesiredValue: Number(needed(parsed, "--desired-value")) } };
      case "sesv2 create-email-identity":
      case "sesv2 get-email-identity":
        return { IdentityType: "DOMAIN", VerifiedForSendingStatus: false, Name: needed(parsed, "--email-identity") };
      case "sesv2 put-account-details":
        if (!["TRANSACTIONAL", "MARKETING"].includes(needed(parsed, "--mail-type"))) throw new Error("mail-type");
        new URL(needed(parsed, "--website-url"));
        return void needed(parsed, "--use-case-description");
      case "sesv2 get-account":
        return { ProductionAccessEnabled: true };
      case "logs describe-query-definitions": {
        const prefix = needed(parsed, "--query-definition-name-prefix");
        const all = account.list("aws:cloudwatch/queryDefinition:QueryDefinition").map(({ outputs }) => outputs);
        const queryDefinitions = all.filter((each) => String(each.name).startsWith(prefix));
        if (queryDefinitions.length === 0) throw new Error(`No query begins with ${prefix}`);
        return { queryDefinitions };
      }
      case "dynamodb list-tables":
        return this.print(await this.dynamodb.send(new ListTablesCommand({})));
      case "dynamodb scan":
        return this.print(await this.dynamodb.send(new ScanCommand({ TableName: needed(parsed, "--table-name") })));
      case "dynamodb get-item":
        return this.print(
          await this.dynamodb.send(
            new GetItemCommand({
              TableName: needed(parsed, "--table-name"),
              Key: JSON.parse(needed(parsed, "--key")),
              ConsistentRead: options["--consistent-read"] === true,
            }),
          ),
        );
      case "dynamodb put-item":
        await this.dynamodb.send(
          new PutItemCommand({
            TableName: needed(parsed, "--table-name"),
            Item: JSON.parse(needed(parsed, "--item")),
            ...(options["--condition-expression"] && {
              ConditionExpression: String(options["--condition-expression"]),
            }),
          }),
        );
        return undefined;
      case "dynamodb delete-item":
        await this.dynamodb.send(
          new DeleteItemCommand({
            TableName: needed(parsed, "--table-name"),
            Key: JSON.parse(needed(parsed, "--key")),
          }),
        );
        return undefined;
      case "dynamodb delete-table":
        return this.print(
          await this.dynamodb.send(new DeleteTableCommand({ TableName: needed(parsed, "--table-name") })),
        );
      case "dynamodb list-backups":
        if (needed(parsed, "--backup-type") !== "SYSTEM") throw new Error("only SYSTEM backups are known");
        return {
          // The API promises no order.
          BackupSummaries: this.backups
            .map(({ table, at }) => ({
              TableName: table,
              BackupArn: backupArn(table, at),
              BackupCreationDateTime: at.toISOString(),
            }))
            .reverse(),
        };
      case "dynamodb restore-table-to-point-in-time":
        return this.restorePointInTime(parsed);
      case "dynamodb restore-table-from-backup": {
        const arn = needed(parsed, "--backup-arn");
        const backup = this.backups.find(({ table, at }) => backupArn(table, at) === arn);
        if (!backup) throw new Error(`BackupNotFoundException: Backup not found: ${arn}`);
        return this.restore(backup, needed(parsed, "--target-table-name"));
      }
      case "dynamodb wait table-exists":
        await this.waitForTable(needed(parsed, "--table-name"));
        return undefined;
      case "cognito-idp admin-delete-user": {
        const sub = needed(parsed, "--username");
        const found = await this.cognito.send(
          new ListUsersCommand({ UserPoolId: needed(parsed, "--user-pool-id"), Filter: `sub = "${sub}"` }),
        );
        if (found.Users?.length !== 1) throw new Error("UserNotFoundException: User does not exist.");
        return undefined;
      }
      default:
        throw new Error(`The test does not run aws ${name}`);
    }
  }

  private async restorePointInTime(parsed: Parsed): Promise<object> {
    const moment = new Date(needed(parsed, "--restore-date-time"));
    const source = needed(parsed, "--source-table-name");
    if (Number.isNaN(moment.getTime())) throw new Error("Invalid timestamp");
    if (moment.getTime() > Date.now()) throw new Error("InvalidRestoreTimeException: the moment is in the future");
    await this.dynamodb.send(new DescribeTableCommand({ TableName: source }));
    const earlier = this.backups.filter(({ table, at }) => table === source && at <= moment);
    const backup = earlier.at(-1);
    if (!backup) throw new Error("InvalidRestoreTimeException: the moment is before the first backup");
    return this.restore(backup, needed(parsed, "--target-table-name"));
  }

  private async restore({ items, schema }: Backup, target: string): Promise<object> {
    await this.dynamodb.send(new CreateTableCommand({ TableName: target, BillingMode: "PAY_PER_REQUEST", ...schema }));
    await this.waitForTable(target);
    for (const item of items) await this.writeRow(target, item);
    return { TableDescription: { TableName: target, TableStatus: "CREATING" } };
  }

  private async waitForTable(TableName: string): Promise<void> {
    await waitUntilTableExists({ client: this.dynamodb, minDelay: 1, maxWaitTime: 60 }, { TableName });
  }

  /** The command line prints the members of the answer, without the SDK's metadata. */
  private print({ $metadata: _, ...members }: { $metadata: unknown }): object {
    return members;
  }
}

function backupArn(table: string, at: Date): string {
  return `arn:aws:dynamodb:ap-northeast-1:000000000000:table/${table}/backup/${at.getTime()}`;
}

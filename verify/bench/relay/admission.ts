import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { createSpendTable } from "../../../functions/tables/spend";
import { createUsageTable } from "../../../functions/tables/usage";
import type { Children } from "../children";

const TABLE = "ephemeral";
const WARM_UP = 100;
const CHATS = 500;

/**
 * Measures the admission of a VIP's chat: two conditional writes, one after the other, that reserve the chat's usage
 * and costs. The writes go to dynalite in a separate process. Returns the time of each admission in milliseconds.
 */
export async function benchAdmission(children: Children): Promise<number[]> {
  const database = children.start(process.execPath, ["cli/run.cjs", "verify/bench/relay/database.ts"], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [{ url }] = (await once(database, "message")) as [{ url: string }];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_DYNAMODB: url,
    AWS_REGION: "ap-northeast-1",
    AWS_ACCESS_KEY_ID: "bench",
    AWS_SECRET_ACCESS_KEY: "bench",
  });
  await createTable();
  const usage = createUsageTable(TABLE);
  const spend = createSpendTable(TABLE);
  const limits = { chatsPerMinute: Number.MAX_SAFE_INTEGER, tokensPerDay: Number.MAX_SAFE_INTEGER };
  const times: number[] = [];
  for (let count = 0; count < WARM_UP + CHATS; count++) {
    const chat = { account: "user#user-1", owner: "user-1", chatId: randomUUID(), tokens: 1_500, limits };
    const startedAt = performance.now();
    await usage.reserve(chat, new Date());
    await spend.reserve(4_000, Number.MAX_SAFE_INTEGER, new Date());
    times.push(performance.now() - startedAt);
    await usage.settle({ ...chat, tokens: 1_000 }, new Date());
  }
  return times.slice(WARM_UP);
}

async function createTable(): Promise<void> {
  const client = new DynamoDBClient({});
  await client.send(
    new CreateTableCommand({
      TableName: TABLE,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 1, maxDelay: 1 }, { TableName: TABLE });
  client.destroy();
}

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { vi } from "vitest";
import { declaredTables, makeTable } from "./declared";
import type { Engine } from "./engines";

/** Names of a new pair of the product's tables on a running server, and a client for the tables. */
export interface Tables {
  users: string;
  ephemeral: string;
  /** Reads and writes items directly, without the code under test. */
  client: DynamoDBClient;
}

/** A running server with DynamoDB's API, and a function that creates tables on it. */
export interface Database {
  make(): Promise<Tables>;
  close(): Promise<void>;
}

/** Environment variables that could lead the SDK to a real account. */
const foreign = ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"];

/** Starts an engine and points the AWS environment variables at it. The code under test gets no other settings. */
export async function openDatabase(engine: Engine): Promise<Database> {
  const declared = await declaredTables();
  const { url, close } = await engine.start();
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", url);
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "local");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "local");
  for (const name of foreign) vi.stubEnv(name, undefined);
  const client = new DynamoDBClient({ requestHandler: { connectionTimeout: 60_000, requestTimeout: 60_000 } });
  let made = 0;
  return {
    async make() {
      const suffix = ++made;
      const [users, ephemeral] = [`users-${suffix}`, `ephemeral-${suffix}`];
      await makeTable(client, users, declared.users, engine);
      await makeTable(client, ephemeral, declared.ephemeral, engine);
      return { users, ephemeral, client };
    },
    async close() {
      vi.unstubAllEnvs();
      client.destroy();
      await close();
    },
  };
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDynamodb } from "../../local/aws/dynamodb/dynamodb";
import { Events } from "../../local/support/events";
import { startDynamodbLocal, whyNoDynamodbLocal } from "./dynamodbLocal";

/** A server with DynamoDB's API. */
export interface Engine {
  name: string;
  /** Whether it supports UpdateTimeToLive. */
  hasTtl: boolean;
  /** Whether its tests are skipped: it cannot run here, and REQUIRE_ALL is not set. */
  isMissing: boolean;
  start(): Promise<{ url: string; close(): Promise<void> }>;
}

const reason = whyNoDynamodbLocal();
if (reason) console.warn(`\n*** SKIPPED: the tables are NOT tested on AWS's own DynamoDB Local: ${reason}. ***\n`);

/** The engine of `npm start`, and AWS's DynamoDB Local. */
export const engines: Engine[] = [
  {
    name: "dynalite",
    hasTtl: false,
    isMissing: false,
    async start() {
      const dir = mkdtempSync(join(tmpdir(), "snack-misaki-tables-"));
      const { url, close } = await startDynamodb(dir, "us-east-1", new Events());
      return {
        url,
        async close() {
          await close();
          rmSync(dir, { recursive: true, force: true });
        },
      };
    },
  },
  {
    name: "DynamoDB Local",
    hasTtl: true,
    isMissing: reason !== undefined && process.env.REQUIRE_ALL !== "1",
    start() {
      if (reason) throw new Error(`REQUIRE_ALL=1 asks for AWS's own DynamoDB Local, and ${reason}.`);
      return startDynamodbLocal();
    },
  },
];

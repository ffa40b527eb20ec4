import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDynamodb } from "../../local/aws/dynamodb/dynamodb";
import { Events } from "../../local/support/events";
import { needs } from "../needs";
import { startDynamodbLocal, whyNoDynamodbLocal } from "./dynamodbLocal";

/** A server with DynamoDB's API. */
export interface Engine {
  name: string;
  /** Whether the server supports UpdateTimeToLive. */
  hasTtl: boolean;
  /** Test options that skip the engine's tests when the engine cannot run on this machine. */
  needed: ReturnType<typeof needs>;
  start(): Promise<{ url: string; close(): Promise<void> }>;
}

const missing = whyNoDynamodbLocal();

/** dynalite, which `npm start` uses, and AWS's DynamoDB Local. */
export const engines: Engine[] = [
  {
    name: "dynalite",
    hasTtl: false,
    needed: needs(undefined),
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
    needed: needs(missing && `AWS's own DynamoDB Local: ${missing}`),
    start: startDynamodbLocal,
  },
];

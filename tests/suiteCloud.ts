import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect } from "vitest";
import { openApi } from "../contract/openapi/document";
import { localCredentials } from "../local/cloud/awsEndpoints";
import { type LocalCloud, startLocalCloud } from "../local/cloud/cloud";
import { customers } from "../local/cloud/customers";
import type { ProgramOutputs } from "../local/cloud/outputs";
import { bringUp } from "../local/cloud/program";
import type { StripeDouble } from "../local/stripe/server";
import { createSwitches } from "../local/stripe/switches";
import { createAnswerCheck } from "../verify/openapi/answers";
import { watchAnswers } from "../verify/openapi/watchAnswers";

/** Maximum number of guest sessions per hour for one IP address. It is low, so that a test can reach it. */
export const guestLimit = 3;

export interface SuiteCloud {
  cloud: LocalCloud;
  stripe: StripeDouble;
  outputs: ProgramOutputs;
  programDir: string;
  /** Folder of all state. */
  dir: string;
}

let shared: Promise<SuiteCloud> | undefined;

/** Answers of the cloud since the previous check, each with its differences from the OpenAPI document. */
const compared: string[][] = [];

/**
 * Fails when the cloud has given an answer that the OpenAPI document does not have.
 *
 * @param least number of answers that must have been seen since the previous check
 */
export function expectDocumentedAnswers(least = 0): void {
  const answers = compared.splice(0);
  expect(answers.flat(), "answers that contract/openapi.json does not document").toEqual([]);
  expect(answers.length).toBeGreaterThanOrEqual(least);
}

/**
 * Returns the local cloud with the deployed program. All files of the vitest project "cloud" share this cloud in one
 * process. Call the function once per file, because it resets Stripe's switches and the rows of the seeded customers.
 * It resets nothing else, so a test creates new customers or undoes its changes.
 */
export async function suiteCloud(): Promise<SuiteCloud> {
  shared ??= start();
  const { cloud, stripe } = await shared;
  Object.assign(stripe.switches, createSwitches());
  await deleteRows(cloud);
  await cloud.seedCustomers();
  return shared;
}

async function start(): Promise<SuiteCloud> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-shared-"));
  // vitest ends this process with SIGTERM, and the cloud ends with the process.
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  process.once("SIGTERM", () => process.exit());
  const programDir = process.cwd();
  const config = { "guest.sessionsPerHour": guestLimit };
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true, config });
  const outputs = await bringUp(cloud, programDir, dir);
  const check = createAnswerCheck(openApi({ strict: true }));
  watchAnswers(outputs, (seen) => compared.push(check(seen).map(({ text }) => text)));
  if (!cloud.stripe) throw new Error("The local cloud has no Stripe double.");
  return { cloud, stripe: cloud.stripe, outputs, programDir, dir };
}

async function deleteRows({ aws }: LocalCloud): Promise<void> {
  const { endpoints, account } = aws;
  const client = new DynamoDBClient({
    endpoint: endpoints.dynamodb,
    region: account.region,
    credentials: localCredentials,
  });
  const table = account.list("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === "user_id");
  for (const { sub } of customers) {
    await client.send(new DeleteItemCommand({ TableName: String(table?.outputs.name), Key: { user_id: { S: sub } } }));
  }
  client.destroy();
}

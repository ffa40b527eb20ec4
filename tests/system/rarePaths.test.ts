import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApi } from "../../client";
import { models, planModels } from "../../contract/plan";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import { lambdaFunction } from "../../local/aws/lambda/resources";
import { schedule } from "../../local/aws/scheduler";
import { queue } from "../../local/aws/sqs";
import { SimulatedTimers } from "../../local/aws/support/timers";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { bringUp } from "../../local/cloud/program";
import { customerApi } from "../../local/visitor/customer";
import { browserKeyOf } from "../../names";
import { Stage } from "../../verify/drill/stage";
import { logicalName } from "../names";

// Tests of the deployed program that cannot use the shared cloud: they need special settings or hours of simulated
// time.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-rare-"));
const timers = new SimulatedTimers();
const config = Object.fromEntries(models.map((model) => [browserKeyOf(model), `browser-key-of-${model}`]));
let cloud: LocalCloud;
let outputs: ProgramOutputs;
let stage: Stage;

beforeAll(async () => {
  const options = { engine: "scripted" as const, withoutPython: true };
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, timers, config, ...options });
  outputs = await bringUp(cloud, programDir, dir);
  stage = new Stage(cloud, outputs, timers);
});
afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

function failedRunsArn(): string {
  const [failedRuns] = cloud.aws.account.list(queue.type);
  expect(logicalName(String(failedRuns?.outputs.name))).toBe("registryRefresh-failed");
  return String(failedRuns?.outputs.arn);
}

it("sessions of guests and customers have the browser key of their plan's model", async () => {
  const guest = await createApi({ apiUrl: outputs.apiUrl, getIdToken: async () => undefined }).guest();
  const sessionOf = async (plan: "free" | "paid") => (await customerApi(plan, cloud, outputs)).session();
  const sessions = { guest, free: await sessionOf("free"), paid: await sessionOf("paid") };
  const routes = Object.values(sessions).map(({ inference }) => inference);
  const [free, paid] = [planModels.free, planModels.paid].map((model) => ({
    kind: "runpod",
    authorization: expect.stringContaining(`browser-key-of-${model}`),
  }));
  expect(routes).toMatchObject([free, free, paid]);
});

it("the paid plan's model answers a vip chat after the day's spend has reached its limit", async () => {
  const { endpoints, account } = cloud.aws;
  const client = new DynamoDBClient({
    endpoint: endpoints.dynamodb,
    region: account.region,
    credentials: localCredentials,
  });
  const table = account.list("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === "pk");
  const pk = { S: `${ephemeralKeys.spend}${new Date().toISOString().slice(0, 10)}` };
  const Item = { pk, micro_usd: { N: "1000000000000" } };
  await client.send(new PutItemCommand({ TableName: String(table?.outputs.name), Item }));
  client.destroy();
  const { inference, ticket } = await stage.openSession("vip");
  const response = await fetch(`${inference.url}/chat`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${ticket}` },
    body: JSON.stringify({ text: "こんばんは" }),
  });
  expect(await response.json()).toMatchObject({ provider: "runpod", model: { name: planModels.paid } });
});

it("the reconciler repairs the row of a customer whose Stripe events were lost", async () => {
  const { switches, account } = stage.stripeDouble;
  const { aheadSeconds } = account.ledger.state.counters;
  switches.lose = true;
  // The reconciler skips the newest events, because the webhook may still get them.
  account.ledger.set("counters", "aheadSeconds", aheadSeconds - 600);
  await stage.subscribe("price_local_paid");
  account.ledger.set("counters", "aheadSeconds", aheadSeconds);
  const done = (await cloud.aws.invoke(stage.function("reconciler").id, {})) as { events: number; failed: number };
  switches.lose = false;
  expect(done.failed).toBe(0);
  expect(done.events).toBeGreaterThan(0);
});

it("the queue of failed runs receives a registry token renewal when every retry fails", async () => {
  const name = stage.names.parameters.runpodApiKey;
  await stage.putParameter(name, "revoked");
  let isOver = false;
  const accepted = cloud.aws.accept(stage.function("registryRefresh").id, {}).then(() => {
    isOver = true;
  });
  while (!isOver) {
    timers.advance(60_000);
    await sleep(20);
  }
  await accepted;
  await stage.putParameter(name, stage.config("runpodApiKey"));
  expect(cloud.aws.messages(failedRunsArn())).toContainEqual(
    expect.objectContaining({ requestContext: expect.objectContaining({ condition: "RetriesExhausted" }) }),
  );
});

it("the queue of failed runs receives a run that the scheduler cannot start", async () => {
  const { account, messages } = cloud.aws;
  const renewal = account.list(schedule.type).find(({ outputs }) => String(outputs.name).includes("registryRefresh"));
  const target = renewal?.outputs.target as { arn: string };
  account.delete(lambdaFunction.type, target.arn.split(":").at(-1) ?? "");
  // The scheduler schedules a retry only after the previous attempt has failed.
  for (let minute = 0; minute < 8 * 60; minute++) {
    timers.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(messages(failedRunsArn())).toContainEqual({});
});

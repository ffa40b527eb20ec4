import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApi } from "../../client";
import { models, planModels } from "../../contract/plan";
import { lambdaFunction } from "../../local/aws/lambda/resources";
import { schedule } from "../../local/aws/scheduler";
import { queue } from "../../local/aws/sqs";
import { SimulatedTimers } from "../../local/aws/support/timers";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { bringUp } from "../../local/cloud/program";
import { customerApi } from "../../local/visitor/customer";
import { browserKeyOf } from "../../names";
import { logicalName } from "../names";

// Paths of the deployed program that need other settings than the shared cloud's, or hours of simulated time.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-rare-"));
const timers = new SimulatedTimers();
const config = Object.fromEntries(models.map((model) => [browserKeyOf(model), `browser-key-of-${model}`]));
let cloud: LocalCloud;
let outputs: ProgramOutputs;

beforeAll(async () => {
  const options = { engine: "scripted" as const, withoutPython: true };
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, timers, config, ...options });
  outputs = await bringUp(cloud, programDir, dir);
});
afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

it("sessions of a guest and a free customer have the browser key of the free plan's model", async () => {
  const guest = await createApi({ apiUrl: outputs.apiUrl, getIdToken: async () => undefined }).guest();
  const customer = await (await customerApi("free", cloud, outputs)).session();
  for (const { inference } of [guest, customer]) {
    expect(inference).toMatchObject({
      kind: "runpod",
      authorization: expect.stringContaining(`browser-key-of-${planModels.free}`),
    });
  }
});

it("a run that the scheduler cannot start reaches the queue of failed runs", async () => {
  const { account, messages } = cloud.aws;
  const renewal = account.list(schedule.type).find(({ outputs }) => String(outputs.name).includes("registryRefresh"));
  const target = renewal?.outputs.target as { arn: string };
  account.delete(lambdaFunction.type, target.arn.split(":").at(-1) ?? "");
  const [failedRuns] = account.list(queue.type);
  expect(logicalName(String(failedRuns?.outputs.name))).toBe("registryRefresh-failed");
  // The scheduler sets up each retry only after the attempt before it has failed.
  for (let minute = 0; minute < 8 * 60; minute++) {
    timers.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(messages(String(failedRuns?.outputs.arn))).toContainEqual({});
});

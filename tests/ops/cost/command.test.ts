import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { metricAlarms } from "../../../infra/alarms";
import { functionNames } from "../../../infra/bundle";
import { type RunpodDouble, startRunpod } from "../../../local/runpod/server";
import { presentGpuPrices } from "../../../ops/cost/gpuPrices";
import { runpodPrices } from "../../../ops/cost/prices/runpod";
import type { CostReport } from "../../../ops/cost/report";
import { API_KEY, idleDouble } from "../../runpod/localDouble";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-cost-"));
let runpod: RunpodDouble;
let url: string;
beforeAll(async () => {
  runpod = await startRunpod(idleDouble(dir));
  url = runpod.restUrl.replace(/\/v2$/, "");
});
afterAll(async () => {
  await runpod.close();
  rmSync(dir, { recursive: true, force: true });
});

const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", NO_COLOR: "1" };

const cost = (...args: string[]) => runCost({ ...env, RUNPOD_API_KEY: API_KEY }, args);

async function runCost(env: NodeJS.ProcessEnv, args: string[]) {
  const child = spawn(process.execPath, ["cli/run.cjs", "ops/cost/cost.ts", ...args], { env });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { out, err, code: code as number };
}

describe("npm run cost -- --stack dev", () => {
  let report: CostReport;
  let err: string;
  beforeAll(async () => {
    const result = await cost("--stack", "dev", "--chats-per-day", "250", "--config", `runpodApiUrl=${url}`, "--json");
    expect(result.code, result.err).toBe(0);
    report = JSON.parse(result.out) as CostReport;
    err = result.err;
  });
  const basis = (item: string) => report.lines.find((line) => line.item === item)?.basis;

  it("counts the functions and the alarms of the evaluated program", () => {
    expect(basis("Lambda")).toBe(`${functionNames.length} functions`);
    const alarms = metricAlarms({ hourlyUsd: 5 });
    expect(basis("CloudWatch alarms and dashboard")).toBe(`${alarms.length} alarms, 1 composite, 1 dashboard`);
    expect(basis("DynamoDB")).toBe("2 tables, 1 with backups");
    expect(basis("SSM, KMS, Scheduler, SNS")).toBe("2 secrets, 89,400 scheduled runs, 0 addresses");
    expect(basis("ECR, stored images")).toMatch(/^phi3, mistral: \d+ GB\. One more image: /);
  });

  it("has totals that are the sums of its lines, for the given number of chats", () => {
    for (const of of ["low", "expected", "worst"] as const) {
      expect(report.totals[of]).toBeCloseTo(
        report.lines.reduce((sum, { usd }) => sum + usd[of], 0),
        2,
      );
    }
    expect(report).toMatchObject({ stack: "dev", chatsPerDay: 250, days: 30 });
    expect(basis("API Gateway")).toBe("2,250 requests");
  });

  it("names three settings for each case, and the date and source of each price table", () => {
    expect(report.settings.expected).toHaveLength(3);
    expect(report.settings.worst).toHaveLength(3);
    expect(report.prices.map(({ of }) => of)).toEqual([
      "RunPod Serverless, flex workers",
      "external LLMs",
      "AWS, ap-northeast-1",
    ]);
    for (const { date, source } of report.prices)
      expect([date, source]).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d$/), expect.stringMatching(/./)]);
  });

  it("uses RunPod's live GPU prices when the environment has a key", () => {
    const date = new Date().toISOString().slice(0, 10);
    expect(report.prices[0]).toEqual({ of: expect.any(String), date, source: `${url}/v2/catalog/gpus` });
    expect(JSON.stringify(report) + err).not.toContain(API_KEY);
  });

  it("shows its progress on standard error", () => {
    expect(err).toBe("Reading the prices …\nStarting the local cloud …\nEvaluating the program …\n");
  });
});

describe("docs/region-loss.md", () => {
  it("contains the costs that npm run cost computes for an idle second stack", async () => {
    const args = ["--stack", "prod", "--chats-per-day", "0", "--config", "operations.metrics=few", "--json"];
    // Without a key, the command uses the price table.
    const { out, err, code } = await runCost(env, args);
    expect(code, err).toBe(0);
    const { totals, lines, settings } = JSON.parse(out) as CostReport;
    const sum = (amounts: number[]) => amounts.reduce((all, one) => all + one, 0);
    const ecr = sum(lines.filter(({ item }) => item.startsWith("ECR")).map(({ usd }) => usd.expected));
    const always = sum(
      settings.expected.filter(({ path }) => path.endsWith("workersMin")).map(({ usd }) => usd.expected),
    );
    const page = readFileSync("docs/region-loss.md", "utf8");
    const amounts = [...page.matchAll(/\| about ([\d,]+) +\|/g)].map(([, amount = ""]) =>
      Number(amount.replace(",", "")),
    );
    const computed = [totals.expected, totals.expected - ecr, totals.expected - ecr + always];
    expect(amounts).toEqual(computed.map((amount) => Math.round(amount / 5) * 5));
  });
});

describe("GPU prices", () => {
  it("come from the price table, with a note, when RunPod refuses the key", async () => {
    const { prices, notes } = await presentGpuPrices(url, "rpa_WRONG");
    expect(prices).toEqual(runpodPrices);
    expect(notes).toEqual([
      expect.stringMatching(/^RunPod's catalogue could not be read, .*: RunPod answered catalog with 401$/),
    ]);
  });

  it("come from the price table when there is no key", async () => {
    expect(await presentGpuPrices(url, undefined)).toMatchObject({ prices: runpodPrices, notes: [] });
  });
});

describe("npm run cost refuses", () => {
  it.each([
    [
      "an unknown stack",
      ["--stack", "nowhere"],
      /Pulumi\.nowhere\.yaml cannot be read: there is no such file\. Stacks with a file: dev, /,
    ],
    [
      "an invalid number of chats",
      ["--stack", "dev", "--chats-per-day", "many"],
      /^--chats-per-day: must be a number from 0 to 1,000,000,000, got "many"\n$/,
    ],
    [
      "an impossible number of chats",
      ["--stack", "dev", "--chats-per-day", "1e30"],
      /^--chats-per-day: must be a number from 0 to 1,000,000,000, got "1e30"\n$/,
    ],
    [
      "a negative number of chats",
      ["--stack", "dev", "--chats-per-day", "-5"],
      /^--chats-per-day: must be a number from 0 to 1,000,000,000, got "-5"\n$/,
    ],
    [
      "an invalid value",
      ["--stack", "dev", "--config", "phi3.workersMax=many"],
      /^Pulumi\.dev\.yaml is not valid:\n {2}phi3\.workersMax: must be a number, got "many"\n$/,
    ],
  ])("%s, with the next step", async (_, args, message) => {
    const { code, out, err } = await cost(...args);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(message);
  });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { models } from "../../../contract/plan";
import { vipProviders } from "../../../contract/relay";
import type { Check } from "../../../ops/doctor/check";
import { type SuiteCloud, suiteCloud } from "../../suiteCloud";

let cloud: SuiteCloud["cloud"];
let dir: string;
beforeAll(async () => {
  ({ cloud, dir } = await suiteCloud());
});

/** Changes workersMax of phi3 outside of Pulumi. Returns the old value. */
async function setWorkersMax(workersMax: number): Promise<number> {
  const endpoint = cloud.runpod.account.endpoints.find(({ name }) => name === "snack-misaki-start-phi3");
  if (!endpoint) throw new Error("There is no endpoint of phi3.");
  const before = endpoint.workersMax;
  const response = await fetch(`${cloud.runpod.restUrl}/serverless/${endpoint.id}`, {
    method: "PATCH",
    headers: { authorization: "Bearer local-runpod-account-key", "content-type": "application/json" },
    body: JSON.stringify({ workers: { max: workersMax } }),
  });
  if (!response.ok) throw new Error(await response.text());
  return before;
}

async function doctor(...args: string[]) {
  const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", NO_COLOR: "1" };
  const child = spawn(process.execPath, ["cli/run.cjs", "ops/doctor/doctor.ts", ...args], { env });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  for (const line of [out, err]) expect(line).not.toMatch(/local-runpod-\w+-key/);
  return { out, err, code };
}

const json = async () => {
  const { out, err, code } = await doctor("--dir", dir, "--json");
  expect(err).toBe("");
  return { code, ...(JSON.parse(out) as { stack: string; failed: number; warnings: number; checks: Check[] }) };
};

it("doctor checks every service and finds no fault in the stack of npm start", async () => {
  const { code, stack, failed, checks } = await json();
  // npm start configures no receiver of alarms, because nobody would confirm the subscription.
  expect(checks.filter(({ status }) => status !== "ok").map(({ name }) => name)).toEqual(["alarm subscribers"]);
  expect(checks.find(({ name }) => name === "phi3 image")?.seen).toMatch(/^phi3-local-1: .*@sha256:/);
  const parts = ["endpoint", "template", "image", "registry", "version", "workers", "drift", "browser key"];
  expect(checks.map(({ name }) => name)).toEqual([
    ...["sign-in e-mail", "user pool", "sign-in URLs", "Amazon SES", "users table", "ephemeral table"],
    ...["API", "API CORS", "relay", "relay CORS", "functions", "Lambda concurrency", "alarms", "alarm subscribers"],
    ...[
      "registry token",
      "failed runs",
      "Stripe key",
      "webhook endpoint",
      "customer portal",
      "paid prices",
      "vip prices",
    ],
    ...vipProviders.map((provider) => `${provider} model`),
    ...["RunPod API", "account", "key", "worker quota", "leaked endpoints"],
    ...models.flatMap((model) => parts.map((part) => `${model} ${part}`)),
  ]);
  expect([code, stack, failed]).toEqual([0, "start", 0]);
});

it("doctor reports failed checks in a table and in JSON and exits with status 1", async () => {
  const before = await setWorkersMax(0);
  onTestFinished(async () => void (await setWorkersMax(before)));
  const { code, failed, checks } = await json();
  const broken = checks.filter(({ status }) => status === "failed");
  expect([code, failed]).toEqual([1, broken.length]);
  expect(broken).toContainEqual({
    name: "phi3 drift",
    status: "failed",
    seen: expect.stringMatching(/^workersMax is 0, configured 2: RunPod sets this after 7 days/),
    todo: expect.stringMatching(/^Run "pulumi up --refresh"/),
  });

  const table = await doctor("--dir", dir);
  expect(table.code).toBe(1);
  expect(table.out).toMatch(/failed +│ phi3 drift +│ workersMax is 0, configured 2: RunPod/);
  expect(table.out).toMatch(/\d+ ok, \d+ warnings?, \d+ failed, \d+ unknown\n$/);
});

it("doctor prints help, and names an unreadable stack file in one line", async () => {
  const help = await doctor("--help");
  expect(help.out).toMatch(
    /npm run doctor -- \[options\][\s\S]*--stack <name>[\s\S]*RUNPOD_API_KEY[\s\S]*exit status is 1/,
  );
  const missing = await doctor("--stack", "nowhere");
  expect([missing.code, missing.out]).toEqual([1, ""]);
  expect(missing.err).toMatch(/^\S*Pulumi\.nowhere\.yaml cannot be read: [^\n]*\n$/);
});

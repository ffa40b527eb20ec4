import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { models } from "../../../contract/plan";
import type { LocalCloud } from "../../../local/cloud/cloud";
import { openLocalCloud } from "../../../local/cloud/program";
import type { Check } from "../../../ops/doctor/check";

const dir = mkdtempSync(join(tmpdir(), "snack-doctor-"));
let cloud: LocalCloud;
beforeAll(async () => {
  await openLocalCloud({ programDir: process.cwd(), dir, freePorts: true, engine: "scripted" }, (started) => {
    cloud = started;
  });
});
afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

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

it("finds no problem in the stack of npm start", async () => {
  const { code, stack, failed, checks } = await json();
  expect(checks.filter(({ status }) => status === "failed")).toEqual([]);
  expect(checks.find(({ name }) => name === "phi3 image")?.seen).toMatch(/^phi3-local-1: .*@sha256:/);
  expect([code, stack, failed, checks.length]).toEqual([0, "start", 0, 5 + 9 * models.length]);
});

it("reports failed checks in a table and in JSON, with exit status 1", async () => {
  cloud.runpod.skip(8 * 86_400_000);
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
  expect(table.out).toMatch(/failed +│ phi3 drift +│ workersMax is 0, configured 2: RunPod sets this/);
  expect(table.out).toMatch(/\d+ ok, \d+ warnings, \d+ failed\n$/);
});

it("prints help, and names an unreadable stack file in one line", async () => {
  const help = await doctor("--help");
  expect(help.out).toMatch(
    /npm run doctor -- \[options\][\s\S]*--stack <name>[\s\S]*RUNPOD_API_KEY[\s\S]*exit status is 1/,
  );
  const missing = await doctor("--stack", "nowhere");
  expect([missing.code, missing.out]).toEqual([1, ""]);
  expect(missing.err).toMatch(/^\S*Pulumi\.nowhere\.yaml cannot be read: [^\n]*\n$/);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import type { CanaryResult } from "../../local/commands/smokeCanary";

async function smokeCanary(): Promise<CanaryResult> {
  const child = spawn(process.execPath, ["cli/run.cjs", "local/commands/smoke.ts", "--canary", "--json"]);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  expect([err, code]).toEqual(["", 0]);
  return JSON.parse(out) as CanaryResult;
}

describe("npm run smoke -- --canary", () => {
  it("gives a tester the candidate, aborts the candidate, and promotes it without a failed chat", {
    timeout: 300_000,
  }, async () => {
    const { workers, tester, other, abort, promotion, alarms } = await smokeCanary();
    expect(workers).toEqual({ released: 1, candidate: 1 });
    expect({ tester, other, afterAbort: abort.tester }).toEqual({
      tester: "local-2",
      other: "local-1",
      afterAbort: "local-1",
    });
    expect(promotion).toMatchObject({
      failed: 0,
      testerMeanwhile: ["local-2"],
      tester: "local-2",
      other: "local-2",
      endpoints: ["snack-misaki-start-mistral"],
    });
    expect(promotion.chats).toBeGreaterThan(2);
    // The relay still calls the candidate's deleted endpoint for some seconds. These calls must raise no alarm.
    expect(alarms).toEqual([]);
  });
});

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import type { StepEvent } from "../../local/pulumi/engine";

const boundary = "arn:aws:iam::123456789012:policy/snack-misaki-github-boundary";

it("permissionsBoundary updates every role of the existing stack dev in place, and changes nothing else", async () => {
  const args = ["cli/run.cjs", "local/commands/preview.ts", "--stack", "dev", "--json"];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...args, "--config", `permissionsBoundary=${boundary}`],
    { maxBuffer: 2 ** 26 },
  );
  const steps = JSON.parse(stdout) as StepEvent[];
  const roles = steps.filter(({ type }) => type === "aws:iam/role:Role");
  expect(roles.length).toBeGreaterThan(10);
  for (const { op, changed } of roles)
    expect({ op, changed }).toEqual({ op: "update", changed: ["permissionsBoundary"] });
  expect(steps.filter(({ type, op }) => type !== "aws:iam/role:Role" && op !== "same" && op !== "read")).toEqual([]);
});

import { describe, expect, it } from "vitest";
import { proposeName } from "../../../local/pulumi/autonaming";
import { readAutonaming } from "../../../local/support/stackConfig";

const names = { project: "snack-misaki", stack: "dev", name: "session" };

describe("The pattern of pulumi:autonaming", () => {
  it("in Pulumi.yaml contains the project, the stack and a random suffix", () => {
    const pattern = readAutonaming(process.cwd()) ?? "";
    const proposed = [1, 2].map(() => proposeName(pattern, names));
    expect(proposed[0]).toMatch(/^snack-misaki-dev-session-[0-9a-f]{7}$/);
    expect(proposed[1]).not.toBe(proposed[0]);
  });

  it.each(["alphanum(6)", "name(3)", "uuid", "constructor"])("is refused when it contains %s", (name) => {
    const expression = `$\{${name}}`;
    expect(() => proposeName(`a-${expression}`, names)).toThrow(`the local engine does not support ${expression}`);
  });
});

import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { changeTable, creationTable, previewRows } from "../../../local/commands/previewTable";
import type { StepEvent } from "../../../local/pulumi/engine";

const step = (name: string, parent: string | undefined, op: StepEvent["op"], more: Partial<StepEvent> = {}) => ({
  ...{
    op,
    urn: name,
    parent,
    type: "type",
    name,
    custom: true,
    changed: [],
    replaceKeys: [],
    retained: false,
    tags: {},
  },
  ...more,
});

const steps: StepEvent[] = [
  step("stack", undefined, "same"),
  step("data", "stack", "same"),
  step("users", "data", "same"),
  step("policy", "users", "read"),
  step("billing", "stack", "same"),
  step("key", "billing", "same"),
  step("portal", "billing", "same"),
  step("role", "portal", "same"),
  step("webhook", "billing", "update", { changed: ["memory", "code"] }),
  step("image", "stack", "delete", { retained: true }),
];
const lines = (all: boolean) =>
  previewRows(steps, all).map(({ depth, name, change, properties }) =>
    [depth, name, change, properties].join(" ").trim(),
  );

describe("Rows of a preview", () => {
  it("show unchanged resources as one row per component", () => {
    expect(lines(false)).toEqual([
      "0 stack same",
      "1 data 3 unchanged",
      "1 billing same",
      "2 webhook update memory, code",
      "2  3 unchanged",
      "1 image delete [retain]",
    ]);
  });

  it("show every resource under its parent with --all", () => {
    expect(lines(true)).toEqual([
      "0 stack same",
      "1 data same",
      "2 users same",
      "3 policy read",
      "1 billing same",
      "2 key same",
      "2 portal same",
      "3 role same",
      "2 webhook update memory, code",
      "1 image delete [retain]",
    ]);
  });

  it("indent a resource's type by the resource's depth", () => {
    const table = stripVTControlCharacters(changeTable(previewRows(steps, false)));
    expect(table).toMatch(/│ {5}type +│ webhook +│ update +│ memory, code +│/);
  });

  it("show the name and the tags that a new resource gets at AWS", () => {
    const created = { type: "aws:iam/role:Role", physicalName: "snack-misaki-dev-session-1a2b3c4" };
    const role = step("session", undefined, "create", { ...created, tags: { project: "snack-misaki", stack: "dev" } });
    const table = stripVTControlCharacters(creationTable(previewRows([role], false)));
    expect(table).toMatch(
      /│ session +│ create +│ snack-misaki-dev-session-1a2b3c4 +│ project=snack-misaki stack=dev +│/,
    );
  });
});

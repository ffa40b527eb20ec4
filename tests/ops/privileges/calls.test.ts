import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { CALLS_FOLDER, readCalls } from "../../../local/aws/iam/callRecord";
import { rolePolicy } from "../../../local/aws/iam/resources";
import type { AwsResource } from "../../../local/aws/support/account";
import { type ResourceState, StackState } from "../../../local/pulumi/state";
import { nameOf } from "../../../local/pulumi/urn";
import { customerApi } from "../../../local/visitor/customer";
import { START_STACK } from "../../../names";
import { compare, isClean } from "../../../ops/privileges/compare";
import { grantsOf } from "../../../ops/privileges/grants";
import { type SuiteCloud, suiteCloud } from "../../suiteCloud";

// The deployed plan function reads a customer's row and the relay's usage. Each test changes the policy of the
// function's role.
let shared: SuiteCloud;
let folder: string;
let calls = 0;
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-calls-"));

beforeAll(async () => {
  shared = await suiteCloud();
});
beforeEach(() => {
  folder = join(dir, String(calls++));
  vi.stubEnv(CALLS_FOLDER, folder);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

type Statement = { Action: string[]; Resource: string[] };

/** The resources of the stack, with a changed policy of the plan function. */
function evaluated(change: (statements: Statement[]) => Statement[] = (statements) => statements): ResourceState[] {
  return new StackState(join(shared.dir, "stack.json"), false).all.map((state) => {
    if (state.type !== rolePolicy.type || nameOf(state.urn) !== "plan") return state;
    return { ...state, inputs: { ...state.inputs, policy: changed(String(state.inputs.policy), change) } };
  });
}

function changed(policy: string, change: (statements: Statement[]) => Statement[]): string {
  const document = JSON.parse(policy);
  return JSON.stringify({ ...document, Statement: change(document.Statement) });
}

const withoutRows = (statements: Statement[]) =>
  statements.filter(({ Resource }) => !Resource.some((resource) => resource.includes("-users-")));

async function askForPlan() {
  return (await customerApi("free", shared.cloud, shared.outputs)).plan();
}

/** Compares the plan function's policy with its recorded calls. */
function comparison(resources: ResourceState[]) {
  const own = grantsOf(resources, START_STACK).filter(({ role }) => role === "plan");
  return compare(own, readCalls(folder));
}

describe("The comparison of permissions and calls", () => {
  it("finds no difference for a function that uses each of its permissions", async () => {
    await askForPlan();
    const found = comparison(evaluated());
    expect(found).toMatchObject({ functions: 1, missing: [], unused: [] });
    expect(found.wildcards.map(({ action }) => action)).toEqual(["logs:CreateLogStream", "logs:PutLogEvents"]);
    expect(isClean(found)).toBe(true);
  });

  it("finds a permission that was removed although the function needs it", async () => {
    await askForPlan();
    const found = comparison(evaluated(withoutRows));
    expect(found.missing).toEqual([
      { function: "plan", action: "dynamodb:GetItem", resource: "table/users", keys: "" },
    ]);
    expect(isClean(found)).toBe(false);
  });

  it("finds a permission that was added without a call", async () => {
    await askForPlan();
    const added = {
      Action: ["dynamodb:Scan"],
      Resource: ["arn:aws:dynamodb:x:1:table/snack-misaki-start-users-1a2b3c4"],
    };
    const found = comparison(evaluated((statements) => [...statements, added]));
    expect(found.unused).toEqual([{ function: "plan", action: "dynamodb:Scan", resource: "x:table/users" }]);
    expect(isClean(found)).toBe(false);
  });

  it("finds a wildcard without a reason", async () => {
    await askForPlan();
    const added = { Action: ["dynamodb:GetItem"], Resource: ["*"] };
    const found = comparison(evaluated((statements) => [...statements, added]));
    expect(found.wildcards).toContainEqual({ function: "plan", action: "dynamodb:GetItem", resource: "*" });
    expect(isClean(found)).toBe(false);
  });
});

describe("A function whose role has lost a permission", () => {
  it("is refused by the local cloud, and the record contains the refused call", async () => {
    const { account } = shared.cloud.aws;
    const policy = account
      .list(rolePolicy.type)
      .find(({ outputs }) => /^snack-misaki-start-plan-/.test(String(outputs.role))) as AwsResource;
    const outputs = { ...policy.outputs, policy: changed(String(policy.outputs.policy), withoutRows) };
    account.put({ ...policy, outputs });
    try {
      await expect(askForPlan()).rejects.toMatchObject({ code: "unavailable" });
    } finally {
      account.put(policy);
    }
    expect(readCalls(folder)).toContainEqual({
      role: "plan",
      action: "dynamodb:GetItem",
      resource: "table/users",
      keys: [""],
    });
  });
});

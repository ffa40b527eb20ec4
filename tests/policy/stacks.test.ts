import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluateStack } from "../../local/cloud/stackCloud";
import type { ResourceState } from "../../local/pulumi/state";
import { LOCAL_ACCOUNT_ID, START_STACK } from "../../names";
import { boundaryServices } from "../../ops/github/policies";
import { deployedTypes } from "../../ops/privileges/deployedTypes";
import { deployerPolicy, MAX_INLINE_POLICY_CHARS, previewPolicy } from "../../ops/privileges/deployerPolicy";
import { problemsOf, rules } from "../../policy/rules";
import { PolicyPackProcess } from "./analyzer";
import { policyResource } from "./resources";

// The rules and the policies of deployers over the real program: each stack is created in the local cloud.
const stacks = ["dev", "staging", "prod"] as const;
/** Secrets in the forms of their issuers, and all optional resources. */
const settings = {
  anthropicApiKey: "sk-ant-canary-000000",
  openaiApiKey: "sk-proj-canary-000000",
  phi3HuggingfaceToken: "hf_canary000000",
  alarmWebhookUrl: "https://pager.example/canary",
  "operations.emails": ["operator@example.com"],
  stripeApiKey: "rk_test_local_functions",
  stripeWebhookKey: "rk_test_local_webhooks",
  "mistral.candidate.imageTag": "2026-12-01",
};
/** Host names of the stack's own. They create types of resources that a stack without them does not have. */
const domains = {
  zone: "Z0123456789ABC",
  api: "api.snack.example",
  signIn: "auth.snack.example",
  relay: "relay.snack.example",
};
const evaluated: Record<string, ResourceState[]> = {};

beforeAll(async () => {
  for (const stack of stacks) {
    const resources = await evaluateStack({ stack }, stack === "prod" ? { ...settings, domains } : settings);
    evaluated[stack] = resources.filter(({ custom }) => custom);
  }
}, 600_000);

const resourcesOf = (stack: string) => evaluated[stack] ?? [];
const typesOf = (stack: string) => resourcesOf(stack).map(({ type }) => type);
const scopeOf = (stack: string) => ({
  partition: "aws",
  stack,
  region: "ap-northeast-1",
  accountId: LOCAL_ACCOUNT_ID,
});

describe.each(stacks)("The stack %s", (stack) => {
  it("follows every rule", () => {
    expect(resourcesOf(stack).length).toBeGreaterThan(150);
    const problems = rules.flatMap((rule) =>
      (["inputs", "outputs"] as const)
        .flatMap((part) => {
          // The pack sees inputs in a rule about one resource, and outputs in a rule about several.
          const { check, checkStack, ...rest } = rule;
          const own =
            part === "inputs" ? { ...rest, ...(check && { check }) } : { ...rest, ...(checkStack && { checkStack }) };
          return problemsOf(
            own,
            resourcesOf(stack).map((state) => policyResource(state, part)),
          );
        })
        .map(({ resource, problem }) => `${rule.name}: ${resource.type} ${resource.name}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });
});

describe("The policy pack in Pulumi's analyzer", () => {
  let pack: PolicyPackProcess;
  beforeAll(async () => {
    pack = await PolicyPackProcess.start();
  });
  afterAll(() => pack?.close());

  it("has every rule, and finds no violation in the stacks", async () => {
    expect((await pack.policies()).sort()).toEqual(rules.map(({ name }) => name).sort());
    for (const stack of stacks) {
      expect(await pack.analyzeStack(resourcesOf(stack))).toEqual([]);
      const found = await Promise.all(resourcesOf(stack).map((state) => pack.analyze(state)));
      expect(found.flat()).toEqual([]);
    }
  });

  it("stops a resource that breaks a rule before it is created, and says what to do", async () => {
    const users = resourcesOf("dev").find(({ inputs }) => inputs.hashKey === "user_id");
    if (!users) throw new Error("The stack has no users table");
    const unsafe = { ...users.inputs, deletionProtectionEnabled: false };
    expect(await pack.analyze(users, unsafe)).toEqual([
      {
        policy: "table-deletion-protection",
        message: expect.stringContaining("deletionProtectionEnabled is not true. Set deletionProtection: true"),
        isMandatory: true,
      },
    ]);
  });

  it("stops a stack in which the relay's URL has only one of its two permissions", async () => {
    const without = resourcesOf("dev").filter(({ inputs }) => inputs.invokedViaFunctionUrl !== true);
    expect(await pack.analyzeStack(without)).toMatchObject([
      { policy: "function-url-permissions", message: expect.stringContaining("lambda:InvokeFunction") },
    ]);
  });

  it("does not stop a preview that does not know a policy yet", async () => {
    const policy = resourcesOf("dev").find(({ type }) => type === "aws:iam/rolePolicy:RolePolicy");
    if (!policy) throw new Error("The stack has no policy");
    const unknown = { ...policy.inputs, policy: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
    const found = await pack.analyze(policy, unknown);
    expect(found.filter(({ isMandatory }) => isMandatory)).toEqual([]);
  });
});

describe("The policy of a deployer", () => {
  it.each(stacks)("of %s is short enough for a role, and names only the stack's resources", (stack) => {
    for (const policy of [
      deployerPolicy(typesOf(stack), scopeOf(stack)),
      previewPolicy(typesOf(stack), scopeOf(stack)),
    ]) {
      expect(JSON.stringify(policy).length).toBeLessThan(MAX_INLINE_POLICY_CHARS);
      const named = policy.Statement.flatMap(({ Resource, Condition }) => (Condition ? [] : Resource));
      const own = new RegExp(`snack-misaki[-/]${stack}|^arn:aws:apigateway:|^\\*$`);
      for (const resource of named) expect(resource).toMatch(own);
      for (const { Action } of policy.Statement) for (const action of Action) expect(action).not.toContain("*");
    }
  });

  it("has a row for the types of host names", () => {
    expect(typesOf("prod")).toContain("aws:cloudfront/distribution:Distribution");
    expect(() => deployerPolicy(typesOf("prod"), scopeOf("prod"))).not.toThrow();
  });

  it.each(stacks)("and the functions of %s use only services that the pipeline's boundary allows", (stack) => {
    const services = resourcesOf(stack)
      .filter(({ type }) => type === "aws:iam/rolePolicy:RolePolicy")
      .flatMap(({ inputs }) => (JSON.parse(String(inputs.policy)) as { Statement: { Action: string[] }[] }).Statement)
      .flatMap(({ Action }) => Action.map((action) => action.split(":")[0]));
    expect(services.length).toBeGreaterThan(10);
    expect(boundaryServices(scopeOf(stack))).toEqual(expect.arrayContaining([...new Set(services)]));
  });

  it("covers every resource of the stack by its name at AWS", () => {
    const policy = deployerPolicy(typesOf("dev"), scopeOf("dev"));
    const patterns = policy.Statement.flatMap(({ Resource }) => Resource).filter((resource) => resource !== "*");
    const covers = (arn: string) =>
      patterns.some((pattern) => new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(arn));
    const arns = resourcesOf("dev")
      .filter(({ type }) => deployedTypes[type]?.resources(scopeOf("dev")).length)
      .flatMap(({ outputs }) => (typeof outputs.arn === "string" ? [outputs.arn] : []))
      .filter((arn) => !arn.includes("apigateway") && !arn.includes("execute-api"));
    expect(arns.length).toBeGreaterThan(80);
    expect(arns.filter((arn) => !covers(arn))).toEqual([]);
  });

  it("for a preview changes nothing and reads no secret", () => {
    const actions = previewPolicy(typesOf("dev"), scopeOf("dev")).Statement.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => !/:(Describe|Get|List|GET|BatchGet)/.test(action))).toEqual([]);
    expect(actions).not.toContain("ssm:GetParameter");
    expect(actions).not.toContain("lambda:InvokeFunction");
  });

  it("cannot be made for a type without known actions", () => {
    expect(() => deployerPolicy(["aws:s3/bucket:Bucket"], scopeOf(START_STACK))).toThrow(
      "aws:s3/bucket:Bucket: no AWS actions are known. Add a row to ops/privileges/deployedTypes.ts",
    );
  });

  it("has no row for a type that no stack uses", () => {
    const used = new Set(stacks.flatMap(typesOf));
    expect(Object.keys(deployedTypes).filter((type) => !used.has(type))).toEqual([]);
  });
});

import { createRequire } from "node:module";
import { resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import type { Statement } from "../../../ops/github/policies";
import { deployedTypes } from "../../../ops/privileges/deployedTypes";
import { deployerPolicy, MAX_INLINE_POLICY_CHARS } from "../../../ops/privileges/deployerPolicy";
import { allows } from "../iamPolicy";

interface Created {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

/** Outputs of ops/github. */
interface Outputs {
  deployRoles: Record<string, string>;
  previewRole: string;
  backendUrl: string;
  secretsProviders: Record<string, string>;
  permissionsBoundaries: Record<string, string>;
}

const account = "123456789012";
const created: Created[] = [];
const load = createRequire(resolve("package.json"));

class Mocks implements pulumi.runtime.Mocks {
  newResource({ type, name, inputs }: pulumi.runtime.MockResourceArgs) {
    created.push({ type, name, inputs });
    const [, service = "", kind = ""] = /^aws:(\w+)\/(\w+):/.exec(type) ?? [];
    const arn = `arn:aws:${service}::${account}:${kind}/${inputs.name ?? inputs.bucket ?? name}`;
    return { id: `${name}-id`, state: { ...inputs, arn: kind === "bucket" ? `arn:aws:s3:::${inputs.bucket}` : arn } };
  }
  call({ token }: pulumi.runtime.MockCallArgs) {
    if (token === "aws:index/getPartition:getPartition") return { partition: "aws" };
    if (token === "aws:index/getRegion:getRegion") return { region: "ap-northeast-1" };
    if (token === "aws:index/getCallerIdentity:getCallerIdentity") return { accountId: account };
    throw new Error(`Unexpected call of ${token}`);
  }
}

const config = {
  repository: "mama@1/snack@2",
  environments: JSON.stringify(["dev", "prod"]),
  previews: JSON.stringify(["dev"]),
  state: JSON.stringify({ bucket: "snack-state", create: true }),
};

/** Runs the program's entry point, as Pulumi does. */
function runProgram(values: Record<string, string>): Outputs {
  const entry = resolve("ops/github/program.cjs");
  for (const file of [entry, resolve(".build/github/index.cjs")]) delete load.cache[file];
  pulumi.runtime.setAllConfig(
    Object.fromEntries(Object.entries(values).map(([key, value]) => [`snack-misaki-github:${key}`, value])),
  );
  return load(entry) as Outputs;
}

/** Creates all resources of the program. Returns its outputs. */
async function evaluate(values: Record<string, string>): Promise<Outputs> {
  created.length = 0;
  const outputs = await pulumi.runtime.runInPulumiStack(async () => runProgram(values));
  await pulumi.runtime.disconnect();
  return outputs as Outputs;
}

/** A resource of the newest evaluation. */
function resource(type: string, name: string): Record<string, unknown> {
  const found = created.find((one) => one.type === type && one.name === name);
  if (!found) throw new Error(`No ${type} ${name}`);
  return found.inputs;
}

const statementsOf = (text: unknown) => (JSON.parse(text as string) as { Statement: Statement[] }).Statement;
/** Inline policy of a role. */
const policyOf = (name: string) => statementsOf(resource("aws:iam/rolePolicy:RolePolicy", name).policy);
/** Policy that is attached to a role. */
const attached = (name: string) => {
  expect(resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", name).policyArn).toContain(name);
  return statementsOf(resource("aws:iam/policy:Policy", name).policy);
};
const roles = () => created.filter(({ type }) => type === "aws:iam/role:Role");

let outputs: Outputs;
beforeAll(async () => {
  await pulumi.runtime.setMocks(new Mocks(), "snack-misaki-github", "account");
  outputs = await evaluate(config);
});

/** Resolves outputs to their values. */
const resolved = (value: Outputs) => new Promise((done) => pulumi.output(value).apply(done));

it("ops/github outputs the values for GitHub's variables and for the stacks", async () => {
  expect(await resolved(outputs)).toEqual({
    deployRoles: {
      dev: `arn:aws:iam::${account}:role/snack-misaki-github-deploy-dev`,
      prod: `arn:aws:iam::${account}:role/snack-misaki-github-deploy-prod`,
    },
    previewRole: `arn:aws:iam::${account}:role/snack-misaki-github-preview`,
    backendUrl: "s3://snack-state?region=ap-northeast-1&awssdk=v2",
    secretsProviders: {
      dev: `awskms:///arn:aws:kms::${account}:key/dev`,
      prod: `awskms:///arn:aws:kms::${account}:key/prod`,
    },
    permissionsBoundaries: {
      dev: `arn:aws:iam::${account}:policy/snack-misaki-github-boundary-dev`,
      prod: `arn:aws:iam::${account}:policy/snack-misaki-github-boundary-prod`,
    },
  });
});

describe("The trust of ops/github", () => {
  it.each([
    ["deploy-dev", "repo:mama@1/snack@2:environment:dev"],
    ["deploy-prod", "repo:mama@1/snack@2:environment:prod"],
    ["preview", "repo:mama@1/snack@2:pull_request"],
  ])("of the role %s accepts only the subject %s with AWS as the audience", (name, sub) => {
    expect(statementsOf(resource("aws:iam/role:Role", name).assumeRolePolicy)).toEqual([
      {
        Effect: "Allow",
        Action: "sts:AssumeRoleWithWebIdentity",
        Principal: { Federated: `arn:aws:iam::${account}:openIdConnectProvider/github` },
        Condition: {
          StringEquals: {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": sub,
          },
        },
      },
    ]);
  });

  it("accepts GitHub's tokens only when their audience is AWS", () => {
    expect(resource("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "github")).toEqual({
      url: "https://token.actions.githubusercontent.com",
      clientIdLists: ["sts.amazonaws.com"],
    });
  });
});

describe("The boundary of ops/github", () => {
  const boundaryArn = `arn:aws:iam::${account}:policy/snack-misaki-github-boundary-dev`;
  const boundary = () => statementsOf(resource("aws:iam/policy:Policy", "boundary-dev").policy);
  const denied = (sid: string) => boundary().find(({ Sid, Effect }) => Sid === sid && Effect === "Deny");

  it("limits every role", () => {
    expect(
      roles().map(({ name, inputs }) => [name, String(inputs.permissionsBoundary).replace(/.*-github-/, "")]),
    ).toEqual([
      ["deploy-dev", "boundary-dev"],
      ["deploy-prod", "boundary-prod"],
      ["preview", "boundary"],
    ]);
  });

  it.each([
    ["dynamodb:GetItem", "dynamodb:ap-northeast-1:ACCOUNT:table/snack-misaki-STACK-users"],
    ["dynamodb:Query", "dynamodb:ap-northeast-1:ACCOUNT:table/snack-misaki-STACK-users/index/by-customer"],
    ["ssm:GetParameters", "ssm:ap-northeast-1:ACCOUNT:parameter/snack-misaki/STACK/stripe-api-key"],
    ["lambda:InvokeFunction", "lambda:ap-northeast-1:ACCOUNT:function:snack-misaki-STACK-admin"],
    ["sqs:SendMessage", "sqs:ap-northeast-1:ACCOUNT:snack-misaki-STACK-registryRefresh-failed"],
    ["scheduler:UpdateSchedule", "scheduler:ap-northeast-1:ACCOUNT:schedule/default/snack-misaki-STACK-poller"],
    ["iam:PutRolePolicy", "iam::ACCOUNT:role/snack-misaki-STACK-admin"],
    ["cognito-idp:AdminGetUser", "cognito-idp:ap-northeast-1:ACCOUNT:userpool/p"],
    ["sns:Publish", "sns:ap-northeast-1:ACCOUNT:snack-misaki-STACK-alarms"],
    ["ecr:PutImage", "ecr:ap-northeast-1:ACCOUNT:repository/snack-misaki-STACK-mistral-0123456"],
    ["ecr:BatchDeleteImage", "ecr:ap-northeast-1:ACCOUNT:repository/snack-misaki-STACK-mistral-0123456"],
  ])("of dev allows %s in dev, and denies it in another stack of the account", (action, pattern) => {
    const may = (stack: string) =>
      allows(boundary(), action, `arn:aws:${pattern.replace("ACCOUNT", account).replace("STACK", stack)}`, {
        "aws:ResourceTag/stack": stack,
        "iam:PermissionsBoundary": boundaryArn,
      });
    expect([may("dev"), may("prod")]).toEqual([true, false]);
  });

  it("of dev denies nothing that a deployment of dev needs", () => {
    const context = { "aws:ResourceTag/stack": "dev", "iam:PermissionsBoundary": boundaryArn };
    const needed = policyOf("deploy-dev").flatMap(({ Action, Resource = [] }) =>
      Action.flatMap((action) => Resource.map((arn) => [action, arn] as const)),
    );
    expect(needed.length).toBeGreaterThan(200);
    expect(needed.filter(([action, arn]) => !allows(boundary(), action, arn, context))).toEqual([]);
    // A new resource has no tag yet.
    expect(allows(boundary(), "cognito-idp:CreateUserPool", "*")).toBe(true);
  });

  it("denies IAM outside of the stack's names", () => {
    expect(denied("OnlyOurRoles")).toMatchObject({
      Action: ["iam:*"],
      NotResource: [
        `arn:aws:iam::${account}:role/snack-misaki-dev-*`,
        `arn:aws:iam::${account}:role/aws-service-role/*`,
      ],
    });
  });

  it("denies changes of the pipeline's roles and of the boundary", () => {
    expect(denied("NotThePipeline")).toMatchObject({
      Action: expect.arrayContaining(["iam:*"]),
      Resource: [
        `arn:aws:iam::${account}:role/snack-misaki-github-*`,
        `arn:aws:iam::${account}:policy/snack-misaki-github-*`,
      ],
    });
    for (const { inputs } of roles()) expect(inputs.name).toMatch(/^snack-misaki-github-/);
    expect(resource("aws:iam/policy:Policy", "boundary-dev").name).toMatch(/^snack-misaki-github-/);
  });

  it("denies roles and permissions without the boundary, and denies the boundary's removal", () => {
    expect(denied("NewRolesHaveTheBoundary")).toMatchObject({
      Action: expect.arrayContaining(["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]),
      Resource: ["*"],
      Condition: { StringNotEquals: { "iam:PermissionsBoundary": boundaryArn } },
    });
    expect(denied("TheBoundaryStays")).toMatchObject({
      Action: ["iam:DeleteRolePermissionsBoundary"],
      Resource: ["*"],
    });
  });

  it("allows only the services of the product, and fits into the maximum size of a policy", () => {
    const [allowed] = boundary().filter(({ Effect }) => Effect === "Allow");
    expect(allowed?.Action).not.toContain("*");
    expect(allowed?.Action).toEqual(expect.arrayContaining(["dynamodb:*", "lambda:*", "bedrock:*", "s3:*", "kms:*"]));
    expect(allowed?.Action).not.toContain("ec2:*");
    expect(allowed?.Action.filter((action) => action.startsWith("sts:"))).toEqual([]);
    expect((resource("aws:iam/policy:Policy", "boundary-dev").policy as string).length).toBeLessThan(6144);
  });

  it("denies the state and its keys to every role that a deployment creates", () => {
    expect(denied("StateIsForThePipeline")).toEqual({
      Sid: "StateIsForThePipeline",
      Effect: "Deny",
      Action: ["s3:*", "kms:*"],
      Resource: [
        "arn:aws:s3:::snack-state",
        "arn:aws:s3:::snack-state/*",
        `arn:aws:kms::${account}:key/dev`,
        `arn:aws:kms::${account}:key/prod`,
      ],
      Condition: { ArnNotLike: { "aws:PrincipalArn": `arn:aws:iam::${account}:role/snack-misaki-github-*` } },
    });
  });
});

describe("The policy of a deploy role", () => {
  it.each(["dev", "prod"])("of %s has the actions of every type that the program can create", (stack) => {
    const scope = { partition: "aws", region: "ap-northeast-1", accountId: account, stack };
    expect(policyOf(`deploy-${stack}`)).toEqual(deployerPolicy(Object.keys(deployedTypes), scope).Statement);
  });

  it("names no resource of another environment", () => {
    expect(JSON.stringify([...policyOf("deploy-dev"), ...attached("deploy-dev-state")])).not.toContain("prod");
  });

  it("passes roles only to Lambda and the scheduler", () => {
    const passing = policyOf("deploy-dev").filter(({ Action }) => Action.includes("iam:PassRole"));
    expect(passing).toEqual([
      {
        Effect: "Allow",
        Action: ["iam:PassRole"],
        Resource: [`arn:aws:iam::${account}:role/snack-misaki-dev-*`],
        Condition: { StringEquals: { "iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"] } },
      },
    ]);
  });

  it("changes nothing in IAM except the stack's roles and the roles of AWS services", () => {
    const iam = policyOf("deploy-dev").filter(({ Action }) => Action.some((action) => action.startsWith("iam:")));
    for (const { Resource = [] } of iam)
      for (const arn of Resource)
        expect(arn).toMatch(/^arn:aws:iam::\d+:role\/(snack-misaki-dev-\*|aws-service-role\/[\w.-]+\/\w+)$/);
  });

  it("writes only the state of the stack, and decrypts only the stack's secrets", () => {
    const state = attached("deploy-dev-state");
    const writes = state
      .filter(({ Action }) => Action.includes("s3:PutObject"))
      .flatMap(({ Resource = [] }) => Resource);
    expect(writes.length).toBeGreaterThan(0);
    for (const file of writes) expect(file).toMatch(/^arn:aws:s3:::snack-state\/\.pulumi\/.*snack-misaki\/dev[./]/);
    const keys = state.filter(({ Action }) => Action.includes("kms:Decrypt")).flatMap(({ Resource = [] }) => Resource);
    expect(keys).toEqual([`arn:aws:kms::${account}:key/dev`]);
  });

  it("fits into IAM's limits with the longest name of a stack and of a bucket", async () => {
    const stack = "a".repeat(18);
    await evaluate({
      ...config,
      environments: JSON.stringify([stack]),
      previews: JSON.stringify([stack]),
      state: JSON.stringify({ bucket: "b".repeat(63), create: true }),
    });
    for (const { type, inputs } of created) {
      const text = typeof inputs.policy === "string" ? inputs.policy : "";
      if (type === "aws:iam/rolePolicy:RolePolicy") expect(text.length).toBeLessThan(MAX_INLINE_POLICY_CHARS);
      if (type === "aws:iam/policy:Policy") expect(text.length).toBeLessThan(6_144);
    }
    outputs = await evaluate(config);
  });
});

describe("The preview's role", () => {
  it("can read the previewed stacks and their state, but can read no secret parameter and change nothing", () => {
    const statements = [...policyOf("preview"), ...attached("preview-dev")];
    const actions = statements.flatMap(({ Action }) => Action);
    for (const action of actions) expect(action).toMatch(/:(Describe|Get|List|GET|BatchGet)|^kms:Decrypt$/);
    expect(actions).not.toContain("ssm:GetParameter");
    const byPath = statements.filter(({ Action }) => Action.includes("ssm:GetParametersByPath"));
    // A permission for a path is one for everything below it, so it must not be the path of the secrets.
    for (const { Resource } of byPath) expect(Resource).toEqual([expect.stringMatching(/\/dev\/candidates$/)]);
    expect(byPath).not.toEqual([]);
    expect(actions).toEqual(expect.arrayContaining(["ecr:GetAuthorizationToken", "lambda:GetFunction"]));
    expect(JSON.stringify(statements)).not.toContain("prod");
  });
});

describe("The state of ops/github", () => {
  it("is a private, versioned, encrypted bucket that refuses requests without TLS", () => {
    expect(resource("aws:s3/bucketVersioning:BucketVersioning", "state").versioningConfiguration).toEqual({
      status: "Enabled",
    });
    expect(resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "state")).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const type = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";
    expect(resource(type, "state").rules).toEqual([{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }]);
    const [tls] = statementsOf(resource("aws:s3/bucketPolicy:BucketPolicy", "state").policy);
    expect(tls).toMatchObject({
      Effect: "Deny",
      Resource: ["arn:aws:s3:::snack-state", "arn:aws:s3:::snack-state/*"],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    });
  });

  it("has a rotating key for each environment", () => {
    for (const name of ["dev", "prod"])
      expect(resource("aws:kms/key:Key", name)).toMatchObject({ enableKeyRotation: true, deletionWindowInDays: 30 });
  });
});

describe("The configuration of ops/github", () => {
  it("uses an existing bucket and an existing OIDC provider when the configuration names them", async () => {
    const providerArn = `arn:aws:iam::${account}:oidc-provider/token.actions.githubusercontent.com`;
    await evaluate({ ...config, state: JSON.stringify({ bucket: "mine" }), providerArn });
    expect(created.map(({ type }) => type).filter((type) => /s3|kms|openId/.test(type))).toEqual([]);
    expect(JSON.stringify(attached("deploy-dev-state"))).toContain("arn:aws:s3:::mine/.pulumi/");
  });

  it.each([
    ["repository", "snack", 'repository: must be owner/name, or owner@id/name@id, got "snack"'],
    [
      "environments",
      '["dev","dev-2"]',
      'environments: must not begin with "dev-", whose names it would share, got "dev-2"',
    ],
    [
      "environments",
      '["github"]',
      'environments: must not begin with "github-", whose names it would share, got "github"',
    ],
    ["previews", '["staging"]', 'previews: must be stacks of environments, got "staging"'],
  ])("is rejected with the allowed values when %s is invalid", (key, value, message) => {
    expect(() => runProgram({ ...config, [key]: value })).toThrow(message);
  });
});

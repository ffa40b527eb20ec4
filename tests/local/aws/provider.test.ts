import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { version } from "@pulumi/aws/package.json";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { archive, asset, code, type Engine, secret, startTestCloud, struct, UNKNOWN } from "./fixture";

const ROLE = "aws:iam/role:Role";
const FUNCTION = "aws:lambda/function:Function";
const PARAMETER = "aws:ssm/parameter:Parameter";
const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";
const IMAGE = "docker-build:index:Image";
const REPOSITORY = "aws:ecr/repository:Repository";
const trust = JSON.stringify({ Version: "2012-10-17", Statement: [] });
const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };
const { ADD, UPDATE, UPDATE_REPLACE } = provider.PropertyDiff.Kind;

describe("Pulumi provider of the local AWS", () => {
  let cloud: Awaited<ReturnType<typeof startTestCloud>>;
  let engine: Engine;
  beforeAll(async () => {
    cloud = await startTestCloud();
    engine = cloud.engine;
  });
  afterAll(() => cloud[Symbol.asyncDispose]());

  it("reports its version and features at handshake and configure", async () => {
    const handshake = await engine.call<provider.ProviderHandshakeRequest, provider.ProviderHandshakeResponse>(
      engine.client.handshake,
      new provider.ProviderHandshakeRequest(),
    );
    const configured = await engine.call<provider.ConfigureRequest, provider.ConfigureResponse>(
      engine.client.configure,
      new provider.ConfigureRequest(),
    );
    const plugin = await engine.call<Empty, PluginInfo>(engine.client.getPluginInfo, new Empty());
    expect(plugin.getVersion()).toBe(version);
    expect(handshake.toObject()).toMatchObject({ acceptSecrets: true, acceptResources: false, acceptOutputs: false });
    expect(configured.toObject()).toMatchObject({ acceptsecrets: true, supportspreview: true, acceptoutputs: false });
    expect(configured.getSupportsAutonamingConfiguration()).toBe(true);
  });

  it("rejects a region that differs from the local cloud's region", async () => {
    const request = new provider.CheckRequest();
    request.setNews(struct({ region: "eu-west-1" }));
    const response = await engine.call<provider.CheckRequest, provider.CheckResponse>(
      engine.client.checkConfig,
      request,
    );
    expect(response.getFailuresList().map((one) => one.toObject())).toEqual([
      { property: "region", reason: "region: must be us-east-1, the region of this local cloud" },
    ]);
  });

  it("refuses a stack whose allowedAccountIds do not contain the local account", async () => {
    const configure = (allowed: string[]) => {
      const request = new provider.ConfigureRequest();
      request.setArgs(struct({ region: "us-east-1", allowedAccountIds: JSON.stringify(allowed) }));
      return engine.call<provider.ConfigureRequest, provider.ConfigureResponse>(engine.client.configure, request);
    };
    await expect(configure(["123456789012"])).rejects.toMatchObject({
      details: "AWS account ID not allowed: 000000000000",
    });
    await configure(["000000000000"]);
  });

  it("uses the name proposed by pulumi:autonaming only for a new resource", async () => {
    const check = async (olds: Record<string, unknown>, proposed: string, type = "aws:iam/role:Role") => {
      const request = new provider.CheckRequest();
      request.setUrn(`urn:pulumi:test::snack::${type}::Session`);
      request.setOlds(struct(olds));
      request.setNews(struct({ assumeRolePolicy: '{"Statement":[]}' }));
      request.setAutonaming(new provider.CheckRequest.AutonamingOptions().setProposedName(proposed));
      const response = await engine.call<provider.CheckRequest, provider.CheckResponse>(engine.client.check, request);
      return response.getInputs()?.toJavaScript() ?? {};
    };
    const created = await check({}, "snack-test-Session-1a2b3c4");
    expect(created.name).toBe("snack-test-Session-1a2b3c4");
    expect((await check(created, "snack-test-Session-0000000")).name).toBe("snack-test-Session-1a2b3c4");
    expect((await check({}, "snack-test-Session-1", "aws:ecr/repository:Repository")).name).toBe(
      "snack-test-session-1",
    );
  });

  it("returns UNIMPLEMENTED for methods that it does not support, and accepts Cancel", async () => {
    await expect(engine.call(engine.client.construct, new provider.ConstructRequest())).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
    await expect(engine.call(engine.client.getMapping, new provider.GetMappingRequest())).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
    await expect(engine.call(engine.client.cancel, new Empty())).resolves.toBeDefined();
  });

  it("creates, diffs, updates, reads and deletes a resource", async () => {
    const role = await engine.create(ROLE, "session", { assumeRolePolicy: trust });
    expect(role.id).toMatch(/^session-[0-9a-f]{7}$/);
    expect(role.outputs).toMatchObject({
      name: role.id,
      arn: `arn:aws:iam::000000000000:role/${role.id}`,
      assumeRolePolicy: trust,
    });
    expect(role.outputs).not.toHaveProperty("__defaults");

    expect(await engine.diff(role, { assumeRolePolicy: trust })).toMatchObject({
      some: false,
      diffs: [],
      replaces: [],
    });

    const change = { assumeRolePolicy: trust, description: "x" };
    expect(await engine.diff(role, change)).toEqual({
      some: true,
      diffs: ["description"],
      replaces: [],
      deleteBeforeReplace: false,
      detailed: { description: ADD },
    });
    expect((await engine.diff(role, change, ["description"])).some).toBe(false);

    const updated = await engine.update(role, change);
    expect(updated.outputs).toMatchObject({
      name: role.id,
      arn: role.outputs.arn,
      uniqueId: role.outputs.uniqueId,
      description: "x",
    });
    expect(await engine.read(ROLE, "session", role.id, updated)).toEqual({
      id: role.id,
      outputs: updated.outputs,
      inputs: updated.inputs,
    });

    await engine.delete(updated);
    expect((await engine.read(ROLE, "session", role.id, updated)).id).toBe("");
    await expect(engine.delete(updated)).resolves.toBeUndefined();
  });

  it("deletes the old resource before its replacement only when both have the same fixed name", async () => {
    const named = await engine.create(LOG_GROUP, "logs", { name: "/snack/a", logGroupClass: "STANDARD" });
    const renamed = await engine.diff(named, { name: "/snack/b", logGroupClass: "STANDARD" });
    expect(renamed).toMatchObject({
      replaces: ["name"],
      deleteBeforeReplace: false,
      detailed: { name: UPDATE_REPLACE },
    });
    const sameName = await engine.diff(named, { name: "/snack/a", logGroupClass: "DELIVERY" });
    expect(sameName).toMatchObject({ replaces: ["logGroupClass"], deleteBeforeReplace: true });
    const domain = await engine.create("aws:cognito/userPoolDomain:UserPoolDomain", "d", {
      userPoolId: "a",
      domain: "bar",
    });
    const otherPool = await engine.diff(domain, { userPoolId: "b", domain: "bar" });
    expect(otherPool).toMatchObject({ replaces: ["userPoolId"], deleteBeforeReplace: true });
    const automatic = await engine.create(LOG_GROUP, "auto", { logGroupClass: "STANDARD" });
    expect(await engine.diff(automatic, { logGroupClass: "DELIVERY" })).toMatchObject({ deleteBeforeReplace: false });
  });

  it("rejects a second resource with the same name and returns AWS's error", async () => {
    await engine.create(LOG_GROUP, "one", { name: "/snack/same" });
    await expect(engine.create(LOG_GROUP, "two", { name: "/snack/same" })).rejects.toThrow(
      /ResourceAlreadyExistsException.*already exists/,
    );
  });

  it("shows computed outputs as unknown in a preview and changes nothing", async () => {
    const preview = await engine.create(ROLE, "planned", { assumeRolePolicy: trust }, true);
    expect(preview.id).toBe("");
    expect(preview.outputs).toMatchObject({ assumeRolePolicy: trust, path: "/", arn: UNKNOWN });
    expect(preview.outputs.name).toMatch(/^planned-/);
    expect(cloud.aws.account.get(ROLE, String(preview.outputs.name))).toBeUndefined();

    const fn = await engine.create(FUNCTION, "fn", { ...lambda, code: code("exports.handler = async () => 1") });
    const planned = await engine.update(
      fn,
      { ...lambda, timeout: 9, code: code("exports.handler = async () => 1") },
      true,
    );
    expect(planned.outputs).toMatchObject({ timeout: 9, arn: fn.outputs.arn, lastModified: UNKNOWN });
    expect(cloud.aws.account.get(FUNCTION, fn.id)?.outputs.timeout).toBe(3);
  });

  it("returns secret inputs as secrets, and compares secrets by their content", async () => {
    const inputs = { type: "SecureString", name: "/snack/key", value: secret("canary") };
    const created = await engine.create(PARAMETER, "key", inputs);
    expect(created.outputs.value).toEqual(secret("canary"));
    expect(created.outputs).toMatchObject({
      version: 1,
      arn: "arn:aws:ssm:us-east-1:000000000000:parameter/snack/key",
    });
    expect((await engine.diff(created, { ...inputs, value: "canary" })).some).toBe(false);
    expect((await engine.diff(created, { ...inputs, value: secret("other") })).detailed).toEqual({ value: UPDATE });

    const updated = await engine.update(created, { ...inputs, value: secret("other") });
    expect(updated.outputs).toMatchObject({ value: secret("other"), version: 2 });
    const found = await engine.read(PARAMETER, "key", created.id);
    expect(found).toMatchObject({ inputs: { value: secret("other") }, outputs: { value: secret("other") } });

    const tagged = await engine.create(ROLE, "tagged", { assumeRolePolicy: trust, tags: { owner: secret("canary") } });
    expect(JSON.stringify(tagged.outputs.tags)).toContain(JSON.stringify(secret({ owner: "canary" })).slice(1, -1));
    expect(cloud.aws.account.get(PARAMETER, created.id)?.inputs.value).toBe("other");
  });

  it("treats a Pulumi output value as a secret when it is marked as secret", async () => {
    const wrapped = {
      "4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4",
      value: trust,
      secret: true,
      dependencies: [],
    };
    const role = await engine.create(ROLE, "wrapped", { assumeRolePolicy: wrapped });
    expect(role.outputs.assumeRolePolicy).toEqual(secret(trust));
  });

  it.each([
    [ROLE, "assumeRolePolicy", {}],
    ["aws:iam/policy:Policy", "policy", {}],
    ["aws:iam/rolePolicy:RolePolicy", "policy", { role: "r" }],
    ["aws:ecr/lifecyclePolicy:LifecyclePolicy", "policy", { repository: "r" }],
  ])("stores an object input as JSON text (%s, %s)", async (type, property, others) => {
    const document = { rules: [], Version: "2012-10-17", Statement: [{ Resource: "*", Effect: "Allow" }] };
    const reordered = { Statement: [{ Effect: "Allow", Resource: "*" }], Version: "2012-10-17", rules: [] };
    const checked = await engine.check(type, "p", { ...others, [property]: document });
    expect(checked.failures).toEqual([]);
    expect(JSON.parse(String(checked.inputs[property]))).toEqual(document);
    const again = await engine.check(type, "p", { ...others, [property]: reordered });
    expect(again.inputs[property]).toBe(checked.inputs[property]);

    const hidden = await engine.check(type, "p", { ...others, [property]: { ...document, Version: secret("v") } });
    expect(hidden.inputs[property]).toEqual(secret(expect.stringContaining('"Version":"v"')));
    const planned = await engine.check(type, "p", { ...others, [property]: { ...document, Version: UNKNOWN } });
    expect(planned).toMatchObject({ failures: [], inputs: { [property]: UNKNOWN } });
    const wrong = await engine.check(type, "p", { ...others, [property]: { Version: "2012-10-17" } });
    expect(wrong.failures.map((failure) => failure.property)).toEqual([property]);
  });

  it("accepts unknown values in check and shows them as changes in diff", async () => {
    const { failures } = await engine.check(FUNCTION, "fn", {
      ...lambda,
      role: UNKNOWN,
      memorySize: UNKNOWN,
      code: code(""),
    });
    expect(failures).toEqual([]);
    const fn = await engine.create(FUNCTION, "unknowing", { ...lambda, code: code("exports.handler = 1") });
    const found = await engine.diff(fn, { ...lambda, role: UNKNOWN, code: code("exports.handler = 1") });
    expect(found).toMatchObject({ some: true, diffs: ["role"], detailed: { role: UPDATE } });
  });

  it.each([
    [FUNCTION, { ...lambda, runtime: "nodejs18.x", code: code("") }, "runtime", /nodejs20\.x.*nodejs24\.x/],
    [FUNCTION, { ...lambda, memorySize: 64, code: code("") }, "memorySize", />=128/],
    [FUNCTION, { ...lambda, timeout: 901, code: code("") }, "timeout", /<=900/],
    [FUNCTION, { ...lambda, code: archive({ path: "./not-there" }) }, "code", /not-there/],
    ["aws:dynamodb/table:Table", { hashKey: "pk", billingMode: "PAY_PER_REQUEST", attributes: [] }, "attributes", /pk/],
    [
      "aws:dynamodb/table:Table",
      {
        hashKey: "pk",
        billingMode: "PAY_PER_REQUEST",
        attributes: [{ name: "pk", type: "S" }],
        ttl: { enabled: true },
      },
      "ttl.attributeName",
      /required/,
    ],
    [
      "aws:apigatewayv2/stage:Stage",
      { apiId: "a", defaultRouteSettings: { throttlingBurstLimit: 5 } },
      "defaultRouteSettings.throttlingRateLimit",
      /429/,
    ],
    ["aws:apigatewayv2/route:Route", { apiId: "a", routeKey: "FETCH /x" }, "routeKey", /\$default or <METHOD>/],
    ["aws:cognito/userPoolDomain:UserPoolDomain", { userPoolId: "p", domain: "my-aws-bar" }, "domain", /aws/],
    [
      "aws:cognito/userPoolClient:UserPoolClient",
      { userPoolId: "p", callbackUrls: ["http://example.com/cb"] },
      "callbackUrls.[0]",
      /localhost/,
    ],
    [PARAMETER, { type: "Secret", value: "x" }, "type", /SecureString/],
    [LOG_GROUP, { retentionInDays: 13 }, "retentionInDays", /14/],
    [ROLE, { assumeRolePolicy: "{" }, "assumeRolePolicy", /JSON/],
  ])(
    "rejects an invalid property with its name and the allowed values (%s, case %#)",
    async (type, inputs, property, allowed) => {
      const { failures } = await engine.check(type, "bad", inputs);
      expect(failures.map((one) => one.property.replace(".[", "["))).toEqual([property.replace(".[", "[")]);
      expect(failures[0]?.reason).toMatch(allowed);
    },
  );

  it("rejects an unsupported resource type or function and names the type or function", async () => {
    await expect(engine.check("aws:s3/bucket:Bucket", "b", {})).rejects.toThrow(
      /does not support aws:s3\/bucket:Bucket/,
    );
    await expect(engine.invoke("aws:ec2/getVpc:getVpc")).rejects.toThrow(/getVpc/);
  });

  it("supports the functions getRegion, getCallerIdentity and getPartition", async () => {
    expect(await engine.invoke("aws:index/getRegion:getRegion")).toMatchObject({
      region: "us-east-1",
      id: "us-east-1",
    });
    expect(await engine.invoke("aws:index/getCallerIdentity:getCallerIdentity")).toMatchObject({
      accountId: "000000000000",
    });
    expect(await engine.invoke("aws:index/getPartition:getPartition")).toMatchObject({ partition: "aws" });
  });

  it("imports a resource by its scope and id when the id alone is not unique", async () => {
    const permission = {
      action: "lambda:InvokeFunction",
      function: "fn",
      principal: "apigateway.amazonaws.com",
      statementId: "api",
    };
    await engine.create("aws:lambda/permission:Permission", "p1", permission);
    await engine.create("aws:lambda/permission:Permission", "p2", { ...permission, function: "fn2" });
    const found = await engine.read("aws:lambda/permission:Permission", "p", "fn2/api");
    expect(found).toMatchObject({ id: "api", inputs: { function: "fn2" } });
  });

  it("returns Cognito and ECR outputs in the format of AWS", async () => {
    const pool = await engine.create("aws:cognito/userPool:UserPool", "pool", { usernameAttributes: ["email"] });
    expect(pool.id).toMatch(/^us-east-1_[A-Za-z0-9]{9}$/);
    expect(pool.outputs.endpoint).toBe(`cognito-idp.us-east-1.amazonaws.com/${pool.id}`);
    expect((await engine.diff(pool, { usernameAttributes: ["phone_number"] })).replaces).toEqual([
      "usernameAttributes",
    ]);
    const client = await engine.create("aws:cognito/userPoolClient:UserPoolClient", "web", { userPoolId: pool.id });
    expect(client.id).toMatch(/^[a-z0-9]{26}$/);
    const repository = await engine.create("aws:ecr/repository:Repository", "mama", {});
    expect(repository.outputs.repositoryUrl).toBe(`000000000000.dkr.ecr.us-east-1.amazonaws.com/${repository.id}`);
  });

  it.each([
    ["http://localhost:5173/", true],
    ["http://127.0.0.1:5173/callback", true],
    ["http://[::1]:5173/callback", true],
    ["https://snack.example/callback", true],
    ["myapp://callback", true],
    ["http://snack.example/callback", false],
    ["http://127.0.0.2/callback", false],
    ["https://snack.example/callback#top", false],
    ["/callback", false],
  ])("accepts or rejects the callback URL %s like Cognito", async (url, isAccepted) => {
    const inputs = { userPoolId: "pool", callbackUrls: [url] };
    const { failures } = await engine.check("aws:cognito/userPoolClient:UserPoolClient", "web", inputs);
    expect(failures).toHaveLength(isAccepted ? 0 : 1);
  });

  it("rejects sign-in settings that Cognito rejects", async () => {
    const reasons = async (type: string, inputs: Record<string, unknown>) =>
      (await engine.check(`aws:cognito/${type}`, "web", inputs)).failures.map(({ property }) => property);
    const client = (inputs: object) => reasons("userPoolClient:UserPoolClient", { userPoolId: "pool", ...inputs });
    const rotation = { feature: "ENABLED", retryGracePeriodSeconds: 60 };
    expect(await client({ refreshTokenRotation: rotation, explicitAuthFlows: ["ALLOW_USER_SRP_AUTH"] })).toEqual([]);
    expect(await client({ refreshTokenRotation: rotation, explicitAuthFlows: ["ALLOW_REFRESH_TOKEN_AUTH"] })).toEqual([
      "explicitAuthFlows",
    ]);
    expect(await client({ refreshTokenRotation: { ...rotation, retryGracePeriodSeconds: 61 } })).toHaveLength(1);
    const pool = (emailConfiguration: object) => reasons("userPool:UserPool", { emailConfiguration });
    const sourceArn = "arn:aws:ses:us-east-1:000000000000:identity/example.com";
    expect(await pool({ emailSendingAccount: "DEVELOPER", sourceArn })).toEqual([]);
    expect(await pool({ emailSendingAccount: "DEVELOPER" })).toHaveLength(1);
    expect(await pool({ emailSendingAccount: "DEVELOPER", sourceArn: "example.com" })).toHaveLength(1);
    expect(await pool({ fromEmailAddress: "mama@example.com" })).toHaveLength(1);
  });

  it("rejects the deletion of a user pool with deletion protection", async () => {
    const pool = await engine.create("aws:cognito/userPool:UserPool", "kept", { deletionProtection: "ACTIVE" });
    await expect(engine.delete(pool)).rejects.toThrow(/deletion protection is activated/);
    await engine.delete(await engine.update(pool, { deletionProtection: "INACTIVE" }));
  });

  it("computes an image's digest from its build inputs and finds the image's model version", async () => {
    const context = join(cloud.dir, "image");
    await mkdir(join(context, "worker", ".mypy_cache"), { recursive: true });
    await writeFile(join(context, "Dockerfile"), "FROM scratch");
    await writeFile(join(context, ".dockerignore"), "**/.*_cache\n*.log\n!keep.log");
    const repository = "000000000000.dkr.ecr.us-east-1.amazonaws.com/model";
    const inputs = {
      push: true,
      tags: [`${repository}:v1`],
      context: { location: "image" },
      buildArgs: { MODEL_VERSION: "2026.11" },
    };
    const digestOf = async (change: object = {}) => {
      const state = await engine.create(IMAGE, "probe", { ...inputs, tags: [`${repository}:probe`], ...change });
      await engine.delete(state);
      return state.outputs.digest;
    };
    const image = await engine.create(IMAGE, "v1", inputs);
    const { digest } = image.outputs;
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(image.outputs.ref).toBe(`${repository}:v1@${digest}`);
    await writeFile(join(context, "worker", ".mypy_cache", ".gitignore"), "x");
    await writeFile(join(context, "build.log"), "x");
    expect(await digestOf()).toBe(digest);
    expect(await digestOf({ buildArgs: { MODEL_VERSION: "2026.12" } })).not.toBe(digest);
    await writeFile(join(context, "keep.log"), "x");
    expect(await digestOf()).not.toBe(digest);

    expect(cloud.aws.resolveImage(`${repository}@${digest}`)).toMatchObject({ version: "2026.11", private: true });
    expect(cloud.aws.resolveImage(`${repository}:v1`)).toMatchObject({ version: "2026.11", private: true });
    expect(cloud.aws.resolveImage(`${repository}@sha256:${"0".repeat(64)}`)).toBeUndefined();
    expect(cloud.aws.resolveImage("ghcr.io:443/snack/model:v7")).toEqual({ version: "v7", private: false });
    await engine.delete(image);
    expect(cloud.aws.resolveImage(`${repository}@${digest}`)).toBeUndefined();
  });

  it("refuses a second push of a tag with another digest in a repository with immutable tags, as ECR does", async () => {
    const context = join(cloud.dir, "pushed");
    await mkdir(context, { recursive: true });
    await writeFile(join(context, "Dockerfile"), "FROM scratch");
    const repository = await engine.create(REPOSITORY, "frozen", { name: "frozen", imageTagMutability: "IMMUTABLE" });
    const url = String(repository.outputs.repositoryUrl);
    const inputs = { push: true, tags: [`${url}:v1`], context: { location: "pushed" } };
    const image = await engine.create(IMAGE, "v1", inputs);
    const moved = { ...inputs, buildArgs: { MODEL_VERSION: "2" } };
    const refused =
      /ImageTagAlreadyExistsException: The image tag 'v1' already exists in the 'frozen' repository and cannot be/;
    await expect(engine.update(image, moved)).rejects.toThrow(refused);
    // In a rollback, the program's state does not contain the image, but the registry does.
    await expect(engine.create(IMAGE, "v1-again", moved)).rejects.toThrow(refused);
    await expect(engine.create(IMAGE, "v1-again", inputs)).resolves.toBeDefined();
    await expect(engine.create(IMAGE, "v2", { ...moved, tags: [`${url}:v2`] })).resolves.toBeDefined();
  });

  it("shows a change when a file's content changes at the same path", async () => {
    const file = join(cloud.dir, "bundle.cjs");
    await writeFile(file, "exports.handler = async () => 1");
    const inputs = {
      ...lambda,
      handler: "bundle.handler",
      code: archive({ assets: { "bundle.cjs": asset({ path: "bundle.cjs" }) } }),
    };
    const fn = await engine.create(FUNCTION, "byPath", inputs);
    expect((await engine.diff(fn, inputs)).some).toBe(false);
    await writeFile(file, "exports.handler = async () => 2");
    expect(await engine.diff(fn, inputs)).toMatchObject({
      some: true,
      diffs: ["code"],
      replaces: [],
      detailed: { code: UPDATE },
    });
    expect(await cloud.aws.invoke(fn.id, {})).toBe(1);
    await engine.update(fn, inputs);
    expect(await cloud.aws.invoke(fn.id, {})).toBe(2);
    await rm(file);
  });

  it("shows drift when an output was changed outside Pulumi", async () => {
    const named = { name: "/snack/parameter", type: "String", value: "x" };
    const created = await engine.create(PARAMETER, "drifted", named);
    const [live] = cloud.aws.account.list(PARAMETER).filter(({ id }) => id === created.id);
    if (live === undefined) throw new Error("not in the account");
    cloud.aws.account.put({ ...live, outputs: { ...live.outputs, arn: "arn:elsewhere" } });
    expect(await engine.diff(created, named)).toMatchObject({ some: true, diffs: ["arn"], replaces: [] });
    expect((await engine.update(created, named, true)).outputs.arn).toBe("arn:elsewhere");
    const updated = await engine.update(created, named);
    expect(updated.outputs.arn).toBe("arn:elsewhere");
    expect((await engine.diff(updated, named)).some).toBe(false);
  });
});

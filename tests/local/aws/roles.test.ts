import {
  DynamoDBClient,
  TransactWriteItemsCommand,
  type TransactWriteItemsCommandInput,
} from "@aws-sdk/client-dynamodb";
import { DescribeImagesCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { GetFunctionConfigurationCommand, InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { GetParameterCommand, GetParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { code, nextEvent, startTestCloud } from "./fixture";
import { type Allowed, putRole } from "./roles";

let cloud: Awaited<ReturnType<typeof startTestCloud>>;
beforeAll(async () => {
  cloud = await startTestCloud();
});
afterAll(() => cloud[Symbol.asyncDispose]());

const arn = (service: string, resource: string) => cloud.aws.account.arn(service, resource);
const optionsOf = (service: keyof typeof cloud.aws.endpoints, ...allowed: Allowed[]) => ({
  endpoint: cloud.aws.endpoints[service],
  region: "us-east-1",
  credentials: { ...putRole(cloud.aws.account, "caller", ...allowed), secretAccessKey: "x" },
  maxAttempts: 1,
});
/** AWS's error message for a role without the permission. */
const refused = (action: string, resource: string) =>
  expect.objectContaining({
    name: "AccessDeniedException",
    message: `User: arn:aws:sts::000000000000:assumed-role/caller/local is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`,
  });

describe("Parameter Store with the credentials of a role", () => {
  const PARAMETER = "aws:ssm/parameter:Parameter";
  beforeAll(async () => {
    for (const name of ["/snack/own", "/snack/other"])
      await cloud.engine.create(PARAMETER, name, { type: "SecureString", name, value: "canary" });
  });

  it("allows an action only on the parameters that the role's policy names for this action", async () => {
    const own = arn("ssm", "parameter/snack/own");
    const client = new SSMClient(optionsOf("ssm", { Action: ["ssm:GetParameters"], Resource: [own] }));
    const read = (...Names: string[]) => client.send(new GetParametersCommand({ Names }));
    expect((await read("/snack/own")).Parameters).toHaveLength(1);
    await expect(read("/snack/own", "/snack/other")).rejects.toEqual(
      refused("ssm:GetParameters", arn("ssm", "parameter/snack/other")),
    );
    const get = new GetParameterCommand({ Name: "/snack/own" });
    await expect(client.send(get)).rejects.toEqual(refused("ssm:GetParameter", own));
    const put = new PutParameterCommand({ Name: "/snack/own", Value: "new", Overwrite: true });
    await expect(client.send(put)).rejects.toEqual(refused("ssm:PutParameter", own));
    client.destroy();
  });

  it("decrypts with a customer managed key only when the role may use the key", async () => {
    const keyId = arn("kms", "key/1");
    await cloud.engine.create(PARAMETER, "keyed", { type: "SecureString", name: "/snack/keyed", value: "x", keyId });
    const allowed = { Action: ["ssm:GetParameter"], Resource: [arn("ssm", "parameter/snack/keyed")] };
    const client = new SSMClient(optionsOf("ssm", allowed));
    const get = new GetParameterCommand({ Name: "/snack/keyed", WithDecryption: true });
    await expect(client.send(get)).rejects.toEqual(refused("kms:Decrypt", keyId));
    optionsOf("ssm", allowed, { Action: ["kms:Decrypt"], Resource: [keyId] });
    expect((await client.send(get)).Parameter?.Value).toBe("x");
    client.destroy();
  });
});

describe("ECR with the credentials of a role", () => {
  it("gives a token only to a role with the permission to get tokens", async () => {
    const token = new GetAuthorizationTokenCommand({});
    const allowed = new ECRClient(optionsOf("ecr", { Action: ["ecr:GetAuthorizationToken"], Resource: ["*"] }));
    expect((await allowed.send(token)).authorizationData).toHaveLength(1);
    optionsOf("ecr", { Action: ["ecr:GetAuthorizationToken"], Resource: [arn("ecr", "repository/worker")] });
    await expect(allowed.send(token)).rejects.toEqual(refused("ecr:GetAuthorizationToken", "*"));
    const images = new DescribeImagesCommand({ repositoryName: "worker", imageIds: [{ imageDigest: "sha256:0" }] });
    await expect(allowed.send(images)).rejects.toEqual(refused("ecr:DescribeImages", arn("ecr", "repository/worker")));
    allowed.destroy();
  });
});

describe("A registry token of a role", () => {
  it("pulls an image only when the role may pull from the image's repository", async () => {
    const { account } = cloud.aws;
    const name = `${account.accountId}.dkr.ecr.us-east-1.amazonaws.com/worker`;
    const outputs = { tags: [`${name}:1`], digest: "sha256:1" };
    account.put({ type: "docker-build:index:Image", id: `${name}:1`, inputs: {}, outputs });
    const token = { Action: ["ecr:GetAuthorizationToken"], Resource: ["*"] };
    const ecr = new ECRClient(optionsOf("ecr", token));
    const { authorizationData = [] } = await ecr.send(new GetAuthorizationTokenCommand({}));
    const [, password = ""] = Buffer.from(authorizationData[0]?.authorizationToken ?? "", "base64")
      .toString()
      .split(/:(.*)/s);
    const pull = () => cloud.aws.resolveImage(`${name}:1`)?.refusal?.(password);
    const Resource = [arn("ecr", "repository/worker")];
    expect(pull()).toMatch(/is not authorized to perform: ecr:BatchGetImage on resource: .*:repository\/worker/);
    optionsOf("ecr", token, { Action: ["ecr:BatchGetImage"], Resource });
    expect(pull()).toMatch(/ecr:GetDownloadUrlForLayer/);
    optionsOf("ecr", token, { Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource });
    expect(pull()).toBeUndefined();
    ecr.destroy();
  });
});

describe("Lambda with the credentials of a role", () => {
  const FUNCTION = "aws:lambda/function:Function";
  const handler = code("exports.handler = async () => { console.log(JSON.stringify({ word: 'sake' })); return 1; }");
  const create = (name: string, role: string) =>
    cloud.engine.create(FUNCTION, name, {
      name,
      role,
      handler: "__index.handler",
      runtime: "nodejs24.x",
      code: handler,
    });

  it("accepts only actions that the role's policy allows", async () => {
    await create("own", "arn:aws:iam::000000000000:role/none");
    const own = arn("lambda", "function:own");
    const client = new LambdaClient(optionsOf("lambda", { Action: ["lambda:InvokeFunction"], Resource: [own] }));
    expect((await client.send(new InvokeCommand({ FunctionName: "own" }))).StatusCode).toBe(200);
    const configuration = new GetFunctionConfigurationCommand({ FunctionName: "own" });
    await expect(client.send(configuration)).rejects.toEqual(refused("lambda:GetFunctionConfiguration", own));
    client.destroy();
  });

  it("stores the log lines of a function only when the function's role may write to its log group", async () => {
    const { account, cloudwatch } = cloud.aws;
    const role = putRole(account, "logger");
    await create("logger", role.arn);
    const filter = { pattern: '{ $.word = "sake" }', logGroupName: "/aws/lambda/logger" };
    const metricTransformation = { namespace: "Test", name: "Lines", value: "1" };
    await cloud.engine.create("aws:cloudwatch/logMetricFilter:LogMetricFilter", "lines", {
      ...filter,
      metricTransformation,
    });
    const count = () =>
      cloudwatch.metrics.read({ namespace: "Test", name: "Lines", dimensions: {} }, 0, Number.POSITIVE_INFINITY)?.sum;
    const print = async () => {
      const printed = nextEvent(cloud.events, /sake/);
      await cloud.aws.invoke("logger", {});
      await printed;
    };
    await print();
    expect(count()).toBeUndefined();
    const Resource = [arn("logs", "log-group:/aws/lambda/logger:*")];
    putRole(account, "logger", { Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource });
    await print();
    expect(count()).toBe(1);
  });
});

describe("DynamoDB with the credentials of a role", () => {
  it("checks each item of a transaction against the permission for the item's action", async () => {
    const attributes = [{ name: "pk", type: "S" }];
    await cloud.engine.create("aws:dynamodb/table:Table", "rows", {
      name: "rows",
      hashKey: "pk",
      attributes,
      billingMode: "PAY_PER_REQUEST",
    });
    const table = arn("dynamodb", "table/rows");
    const client = new DynamoDBClient(optionsOf("dynamodb", { Action: ["dynamodb:PutItem"], Resource: [table] }));
    const write = (...TransactItems: NonNullable<TransactWriteItemsCommandInput["TransactItems"]>) =>
      client.send(new TransactWriteItemsCommand({ TransactItems }));
    const Put = { TableName: "rows", Item: { pk: { S: "1" } } };
    const Delete = { TableName: "rows", Key: { pk: { S: "2" } } };
    await expect(write({ Put }, { Delete })).rejects.toEqual(refused("dynamodb:DeleteItem", table));
    client.destroy();
  });
});

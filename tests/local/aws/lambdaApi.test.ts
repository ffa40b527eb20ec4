import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  DeleteFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  type InvokeCommandInput,
  LambdaClient,
  PutFunctionConcurrencyCommand,
  RequestTooLargeException,
  ResourceNotFoundException,
  UpdateFunctionConfigurationCommand,
} from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve } from "../../../local/support/http";
import { code, ManualTimers, nextEvent, startTestCloud } from "./fixture";

const FUNCTION = "aws:lambda/function:Function";
const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };
const HANDLER = `exports.handler = async (event, context) => {
  if (event.fail) throw new TypeError("no sake");
  if (event.log) console.log("logged " + event.log);
  return { event, requestId: context.awsRequestId, endpoint: process.env.AWS_ENDPOINT_URL_LAMBDA };
}`;

describe("Invoke API of Lambda", () => {
  const timers = new ManualTimers();
  const lines: string[] = [];
  let cloud: Awaited<ReturnType<typeof startTestCloud>>;
  let client: LambdaClient;
  let fn: Awaited<ReturnType<typeof cloud.engine.create>>;
  let url: string;
  beforeAll(async () => {
    cloud = await startTestCloud({ timers });
    cloud.events.subscribe(({ summary }) => lines.push(summary));
    client = new LambdaClient({
      endpoint: cloud.aws.endpoints.lambda,
      region: "us-east-1",
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
      maxAttempts: 1,
    });
    fn = await cloud.engine.create(FUNCTION, "admin", { ...lambda, timeout: 30, code: code(HANDLER) });
    url = `${cloud.aws.endpoints.lambda}/2015-03-31/functions/${fn.id}/invocations`;
  });
  afterAll(async () => {
    client.destroy();
    await cloud[Symbol.asyncDispose]();
  });

  const invoke = async (payload: unknown, more: Partial<InvokeCommandInput> = {}) => {
    const Payload = JSON.stringify(payload);
    const answer = await client.send(new InvokeCommand({ FunctionName: fn.id, Payload, ...more }));
    const text = answer.Payload?.transformToString() ?? "";
    return { ...answer, body: text === "" ? undefined : JSON.parse(text) };
  };

  const signed = (scope: string) =>
    `AWS4-HMAC-SHA256 Credential=x/20261123/${scope}/aws4_request, SignedHeaders=host, Signature=${"0".repeat(64)}`;
  const post = async (body: string, headers: Record<string, string>, at = url) => {
    const response = await fetch(at, { method: "POST", body, headers });
    const text = await response.text();
    return {
      status: response.status,
      type: response.headers.get("x-amzn-errortype"),
      body: text === "" ? undefined : JSON.parse(text),
    };
  };

  it("finds a function by its name, ARN, partial ARN or $LATEST qualifier", async () => {
    const answer = await invoke({ hello: "ママ" });
    expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: "$LATEST", body: { event: { hello: "ママ" } } });
    expect(answer.FunctionError).toBeUndefined();
    expect(answer.$metadata.requestId).toBe(answer.body.requestId);
    expect(answer.body.endpoint).toBe(cloud.aws.endpoints.lambda);

    const arn = String(fn.outputs.arn);
    for (const FunctionName of [arn, `${arn}:$LATEST`, `000000000000:function:${fn.id}`, `${fn.id}:$LATEST`])
      expect((await invoke({ n: 1 }, { FunctionName })).body.event).toEqual({ n: 1 });
    expect((await invoke({ n: 2 }, { Qualifier: "$LATEST" })).body.event).toEqual({ n: 2 });
  });

  it("throttles a function whose reserved concurrency is 0", async () => {
    const named = { FunctionName: fn.id };
    const none = new PutFunctionConcurrencyCommand({ ...named, ReservedConcurrentExecutions: 0 });
    expect(await client.send(none)).toMatchObject({ ReservedConcurrentExecutions: 0 });
    await expect(invoke({})).rejects.toMatchObject({ name: "TooManyRequestsException" });
    await client.send(new DeleteFunctionConcurrencyCommand(named));
    expect((await invoke({})).StatusCode).toBe(200);
    const negative = new PutFunctionConcurrencyCommand({ ...named, ReservedConcurrentExecutions: -1 });
    await expect(client.send(negative)).rejects.toMatchObject({ name: "InvalidParameterValueException" });
  });

  it("passes an empty object to the function when there is no payload", async () => {
    const { Payload } = await client.send(new InvokeCommand({ FunctionName: fn.id }));
    expect(JSON.parse(Payload?.transformToString() ?? "").event).toEqual({});
  });

  it("returns 200 with the error as payload when the function fails", async () => {
    expect(await invoke({ fail: true })).toMatchObject({
      StatusCode: 200,
      FunctionError: "Unhandled",
      ExecutedVersion: "$LATEST",
      body: { errorType: "TypeError", errorMessage: "no sake", trace: expect.any(Array) },
    });
  });

  it("rejects an unknown function, version or alias", async () => {
    const failure = invoke({}, { FunctionName: "nobody" });
    await expect(failure).rejects.toThrow(ResourceNotFoundException);
    await expect(failure).rejects.toMatchObject({
      message: "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
      Type: "User",
      $metadata: { httpStatusCode: 404 },
    });
    for (const more of [
      { Qualifier: "7" },
      { FunctionName: `${fn.id}:live` },
      { FunctionName: `${fn.outputs.arn}:live` },
    ])
      await expect(invoke({}, more)).rejects.toThrow(/Function not found: arn:.*:(7|live)$/);
  });

  it("runs an Event invocation in the background and retries a failure twice", async () => {
    const logged = nextEvent(cloud.events, / logged once$/);
    const answer = await invoke({ log: "once" }, { InvocationType: "Event" });
    expect(answer).toMatchObject({ StatusCode: 202, body: undefined });
    expect(answer.ExecutedVersion).toBeUndefined();
    await logged;

    const failure = () => nextEvent(cloud.events, /^admin-\w+ → TypeError$/);
    let failed = failure();
    await invoke({ fail: true }, { InvocationType: "Event" });
    for (const delayMs of [60_000, 120_000]) {
      await failed;
      await setImmediate();
      expect(timers.delaysMs).toEqual([delayMs]);
      failed = failure();
      timers.advance(delayMs);
    }
    const dropped = nextEvent(cloud.events, /^admin-\w+: asynchronous event dropped after 3 attempts$/);
    await Promise.all([failed, dropped]);
    expect(timers.delaysMs).toEqual([]);
  });

  it("returns 204 for a DryRun without running the function", async () => {
    expect(await invoke({ log: "never" }, { InvocationType: "DryRun" })).toMatchObject({ StatusCode: 204 });
    await expect(invoke({}, { InvocationType: "DryRun", FunctionName: "nobody" })).rejects.toThrow(/not found/);
    await invoke({ log: "afterwards" });
    expect(lines.filter((line) => line.endsWith("logged never"))).toEqual([]);
  });

  it("rejects a request that has no signature or a signature for another region or service", async () => {
    expect(await post("{}", {})).toEqual({
      status: 403,
      type: "MissingAuthenticationTokenException",
      body: { Type: "User", message: "Missing Authentication Token" },
    });
    expect(await post("{}", { authorization: "Bearer x" })).toMatchObject({
      status: 403,
      type: "IncompleteSignatureException",
    });
    for (const scope of ["us-east-1/dynamodb", "eu-west-1/lambda"])
      expect(await post("{}", { authorization: signed(scope) })).toMatchObject({
        status: 403,
        type: "InvalidSignatureException",
      });
    expect((await post("{}", { authorization: signed("us-east-1/lambda") })).status).toBe(200);
  });

  it("rejects a payload that is too large and states the limit", async () => {
    const large = "x".repeat(6 * 1024 * 1024);
    const failure = invoke(large);
    await expect(failure).rejects.toThrow(RequestTooLargeException);
    await expect(failure).rejects.toMatchObject({
      message: "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
      $metadata: { httpStatusCode: 413 },
    });
    const fitting = large.slice(0, 1024 * 1024);
    expect((await invoke(fitting)).body.event).toBe(fitting);
    await expect(invoke(fitting, { InvocationType: "Event" })).rejects.toThrow(/smaller than 1048576 bytes/);
    expect((await invoke({ n: 1 })).StatusCode).toBe(200);
  });

  it("rejects invalid JSON, an unknown invocation type and any operation except Invoke", async () => {
    const authorization = signed("us-east-1/lambda");
    expect(await post("{canary", { authorization })).toEqual({
      status: 400,
      type: "InvalidRequestContentException",
      body: { Type: "User", message: "Could not parse request body into json" },
    });
    expect(await post("{}", { authorization, "x-amz-invocation-type": "Later" })).toMatchObject({
      status: 400,
      type: "ValidationException",
    });
    expect(await post("{}", { authorization }, url.replace("invocations", "code"))).toMatchObject({
      status: 404,
      type: "UnknownOperationException",
    });
  });

  it("replaces a function's environment for the next invocation", async () => {
    const handler = "exports.handler = async () => process.env.VIP_PROVIDERS ?? null;";
    const { id: FunctionName } = await cloud.engine.create(FUNCTION, "env", { ...lambda, code: code(handler) });
    const call = async () => (await client.send(new InvokeCommand({ FunctionName }))).Payload?.transformToString();
    expect(await call()).toBe("null");
    const Environment = { Variables: { VIP_PROVIDERS: "openai" } };
    await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment }));
    expect(await call()).toBe('"openai"');
    expect(await client.send(new GetFunctionConfigurationCommand({ FunctionName }))).toMatchObject({ Environment });
  });

  it("rejects changes of every setting except the environment", async () => {
    const change = new UpdateFunctionConfigurationCommand({ FunctionName: fn.id, Timeout: 60 });
    await expect(client.send(change)).rejects.toMatchObject({ name: "InvalidParameterValueException" });
  });

  it("logs an invocation without its payload", async () => {
    const done = nextEvent(cloud.events, /^Invoke /);
    await invoke({ canary: "canary" });
    expect(await done).toMatchObject({
      source: "lambda",
      summary: `Invoke ${fn.id} → 200`,
      durationMs: expect.any(Number),
    });
    expect(lines.join("\n")).not.toContain("canary");
  });

  it("listens on the configured port and fails to start when that port is in use", async () => {
    const other = await serve("another", 0, () => new Response("another"));
    await expect(startTestCloud({ dir: join(cloud.dir, "second"), lambdaPort: other.port })).rejects.toThrow(
      `Port ${other.port} (Lambda) is in use`,
    );
    await other.close();
    await using moved = await startTestCloud({ lambdaPort: other.port });
    expect(moved.aws.endpoints.lambda).toBe(other.url);
  });
});

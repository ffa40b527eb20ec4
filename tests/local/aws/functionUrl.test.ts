import { once } from "node:events";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { runInThisContext } from "node:vm";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { runtime } from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { code, nextEvent, startTestCloud } from "./fixture";

const FUNCTION = "aws:lambda/function:Function";
const URL_TYPE = "aws:lambda/functionUrl:FunctionUrl";
const PERMISSION = "aws:lambda/permission:Permission";
const lambda = {
  role: "arn:aws:iam::000000000000:role/r",
  handler: "__index.handler",
  runtime: "nodejs24.x",
  timeout: 20,
};
const MB = 1024 * 1024;

type Cloud = Awaited<ReturnType<typeof startTestCloud>>;

interface Settings {
  function?: object;
  url?: object;
  permissions?: object[];
}

const publicPermissions = [
  { action: "lambda:InvokeFunctionUrl", principal: "*", functionUrlAuthType: "NONE" },
  { action: "lambda:InvokeFunction", principal: "*", invokedViaFunctionUrl: true },
];

/** Creates a function with a public URL in the mode RESPONSE_STREAM. */
async function serve(cloud: Cloud, handler: string, settings: Settings = {}) {
  const { engine } = cloud;
  const fn = await engine.create(FUNCTION, "chat", { ...lambda, code: code(handler), ...settings.function });
  const url = await engine.create(URL_TYPE, "chat", {
    functionName: fn.outputs.name,
    authorizationType: "NONE",
    invokeMode: "RESPONSE_STREAM",
    ...settings.url,
  });
  for (const permission of settings.permissions ?? publicPermissions) {
    await engine.create(PERMISSION, "public", { function: fn.outputs.name, ...permission });
  }
  return { fn, resource: url, url: String(url.outputs.functionUrl) };
}

/** A streaming handler with this body. It responds with status 200 and the content type text/plain. */
const streaming = (body: string) => `exports.handler = awslambda.streamifyResponse(async (event, raw) => {
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const stream = awslambda.HttpResponseStream.from(raw, { statusCode: 200, headers: { "content-type": "text/plain" } });
  ${body}
})`;

/** Sends a request over a separate connection. Resolves with the response when its headers have arrived. */
async function open(url: string, options: RequestOptions = {}, body = ""): Promise<IncomingMessage> {
  const outgoing = request(url, { agent: false, ...options });
  // Lambda may close the connection before it has read the whole request.
  outgoing.on("error", () => {});
  outgoing.end(body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return response;
}

/** Reads a response until its end. `cut` is true when the connection closed without a clean end. */
async function readAll(response: IncomingMessage): Promise<{ body: string; cut: boolean }> {
  let body = "";
  try {
    for await (const chunk of response) body += chunk;
    return { body, cut: false };
  } catch {
    return { body, cut: true };
  }
}

async function get(url: string, options: RequestOptions = {}, body = "") {
  const response = await open(url, options, body);
  return { status: response.statusCode, headers: response.headers, ...(await readAll(response)) };
}

/** Values of a header, one for each header line. */
function lines({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

let cloud: Cloud;
beforeAll(async () => {
  cloud = await startTestCloud({ streamLimits: { burstBytes: MB, bytesPerSecond: MB, maxBytes: 3 * MB } });
});
afterAll(() => cloud[Symbol.asyncDispose]());

describe("Function URL", () => {
  it("passes an event of payload format 2.0 and streams status, headers, cookies and body", async () => {
    const { url, resource } = await serve(
      cloud,
      `exports.handler = awslambda.streamifyResponse(async (event, raw, context) => {
        const stream = awslambda.HttpResponseStream.from(raw, { statusCode: 201, cookies: ["a=1", "b=2"],
          headers: { "content-type": "application/json", "x-own": "1" } });
        stream.write(JSON.stringify({ event, left: context.getRemainingTimeInMillis() > 0 }));
        stream.end();
      })`,
    );
    const options = {
      method: "POST",
      headers: { "content-type": "application/json", "X-Mixed": "Yes", cookie: "c=3" },
    };
    const { status, headers, body } = await get(`${url}chat/one%201?a=1&a=2`, options, '{"hello":"ママ"}');
    expect({ status, own: headers["x-own"], type: headers["content-type"], cookies: headers["set-cookie"] }).toEqual({
      status: 201,
      own: "1",
      type: "application/json",
      cookies: ["a=1", "b=2"],
    });
    const { event, left } = JSON.parse(body);
    expect(left).toBe(true);
    expect(event).toMatchObject({
      version: "2.0",
      routeKey: "$default",
      rawPath: "/chat/one%201",
      rawQueryString: "a=1&a=2",
      cookies: ["c=3"],
      headers: { "x-mixed": "Yes" },
      queryStringParameters: { a: "1,2" },
      requestContext: {
        accountId: "anonymous",
        apiId: resource.outputs.urlId,
        stage: "$default",
        http: { method: "POST", sourceIp: "127.0.0.1" },
        requestId: headers["x-amzn-requestid"],
      },
      body: '{"hello":"ママ"}',
      isBase64Encoded: false,
    });
  });

  it("returns a URL with a trailing slash, the URL's id and the function's ARN", async () => {
    const { fn, resource } = await serve(cloud, "exports.handler = async () => 1");
    expect(resource.id).toBe(fn.id);
    expect(resource.outputs).toMatchObject({
      functionUrl: expect.stringMatching(/^http:\/\/localhost:\d+\/$/),
      urlId: expect.stringMatching(/^[a-z0-9]{32}$/),
      functionArn: fn.outputs.arn,
    });
    const second = { functionName: fn.outputs.arn, authorizationType: "NONE" };
    await expect(cloud.engine.create(URL_TYPE, "second", second)).rejects.toThrow(
      "FunctionUrlConfig exists for this Lambda function",
    );
  });

  it("rejects a URL for a function or an alias that does not exist", async () => {
    const { fn } = await serve(cloud, "exports.handler = async () => 1");
    for (const target of [{ functionName: "nobody" }, { functionName: fn.id, qualifier: "live" }])
      await expect(cloud.engine.create(URL_TYPE, "u", { authorizationType: "NONE", ...target })).rejects.toThrow(
        /ResourceNotFoundException: Function not found: arn:.*:(nobody|live)$/,
      );
  });

  it.each([
    ["authorizationType", { authorizationType: "JWT" }],
    ["invokeMode", { invokeMode: "STREAM" }],
    ["qualifier", { qualifier: "7" }],
    ["cors.allowMethods[1]", { cors: { allowMethods: ["GET", "OPTIONS"] } }],
    ["cors.allowMethods", { cors: { allowMethods: ["GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "*"] } }],
    ["cors.maxAge", { cors: { maxAge: 86_401 } }],
  ])("rejects an invalid %s", async (property, invalid) => {
    const inputs = { functionName: "chat", authorizationType: "NONE", ...invalid };
    const { failures } = await cloud.engine.check(URL_TYPE, "u", inputs);
    expect(failures.map((one) => one.property)).toEqual([property]);
  });

  it("rejects a permission with a condition of another action", async () => {
    const check = async (inputs: object) =>
      (await cloud.engine.check(PERMISSION, "p", { function: "chat", principal: "*", ...inputs })).failures;
    expect(await check({ action: "lambda:InvokeFunction", functionUrlAuthType: "NONE" })).toMatchObject([
      { reason: expect.stringContaining("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action") },
    ]);
    expect(await check({ action: "lambda:InvokeFunctionUrl", invokedViaFunctionUrl: true })).toMatchObject([
      { property: "invokedViaFunctionUrl" },
    ]);
  });

  it("answers 403 when one of the two public permissions is missing", async () => {
    const [forUrl, forFunction] = publicPermissions;
    for (const permissions of [
      [],
      [forUrl],
      [forFunction],
      [{ ...forUrl, functionUrlAuthType: "AWS_IAM" }, forFunction],
      [{ ...forUrl, principal: "000000000000" }, forFunction],
      [forUrl, { ...forFunction, sourceArn: "arn:aws:execute-api:us-east-1:000000000000:api" }],
    ]) {
      const { url } = await serve(cloud, streaming("stream.end('yes')"), { permissions: permissions as object[] });
      const { status, headers, body } = await get(url);
      expect([status, headers["x-amzn-errortype"]]).toEqual([403, "AccessDeniedException"]);
      expect(JSON.parse(body).Message).toMatch(/^Forbidden/);
    }
    const { url } = await serve(cloud, streaming("stream.write('yes'); stream.end()"));
    expect(await get(url)).toMatchObject({ status: 200, body: "yes" });
  });

  it("answers 403 to an unsigned request when the type is AWS_IAM", async () => {
    const { url } = await serve(cloud, streaming("stream.write('yes'); stream.end()"), {
      url: { authorizationType: "AWS_IAM" },
    });
    expect((await get(url)).status).toBe(403);
    const scope = "x/20261127/us-east-1/lambda/aws4_request";
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${"0".repeat(64)}`;
    expect((await get(url, { headers: { authorization } })).status).toBe(200);
  });

  it("answers 413 to a request above 6 MB", async () => {
    const { url } = await serve(cloud, streaming("stream.write(String(event.body.length)); stream.end()"));
    const post = (size: number) =>
      get(url, { method: "POST", headers: { "content-type": "text/plain" } }, "x".repeat(size));
    expect(await post(5 * MB)).toMatchObject({ status: 200, body: String(5 * MB) });
    expect((await post(6 * MB + 1)).status).toBe(413);
    // A body of 6 MB makes an event that is larger than 6 MB.
    expect((await post(6 * MB)).status).toBe(413);
  });
});

describe("Streamed response", () => {
  it("holds each chunk back until the next write or the end", async () => {
    const { url } = await serve(
      cloud,
      streaming(`stream.write("one "); await sleep(400); stream.write("two "); await sleep(400);
        stream.write("three"); await sleep(400); stream.end();`),
    );
    const response = await open(url);
    const headersAt = performance.now();
    const arrivals: [string, number][] = [];
    for await (const chunk of response)
      arrivals.push([String(chunk), Math.round((performance.now() - headersAt) / 400)]);
    expect(arrivals).toEqual([
      ["one ", 1],
      ["two ", 2],
      ["three", 3],
    ]);
  });

  it("neither stops nor notifies the function when the client disconnects", async () => {
    const { url } = await serve(
      cloud,
      streaming(`const seen = [];
        for (const name of ["close", "error", "aborted"]) stream.on(name, () => seen.push(name));
        for (let n = 0; n < 20; n++) {
          if (!stream.write("x".repeat(50_000))) await new Promise((resolve) => stream.once("drain", resolve));
          await sleep(20);
        }
        console.log("afterwards", JSON.stringify(seen), stream.destroyed);
        stream.end();`),
    );
    const logged = nextEvent(cloud.events, / afterwards /);
    const finished = nextEvent(cloud.events, /^chat-\w+ → ok$/);
    const response = await open(url);
    response.destroy();
    expect((await logged).summary).toMatch(/afterwards \[\] false$/);
    expect((await finished).durationMs).toBeGreaterThan(380);
  });

  it("makes `write` return false while the client reads slowly", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    await using unlimited = await startTestCloud({
      streamLimits: { burstBytes: most, bytesPerSecond: most, maxBytes: most },
    });
    const { url } = await serve(
      unlimited,
      streaming(`let written = 0;
        const deadline = Date.now() + 1000;
        while (Date.now() < deadline) {
          written += 16_384;
          if (!stream.write("x".repeat(16_384))) {
            await Promise.race([sleep(deadline - Date.now()), new Promise((resolve) => stream.once("drain", resolve))]);
          }
        }
        console.log("written", written);
        stream.destroy();`),
      { function: { timeout: 3 } },
    );
    const logged = nextEvent(unlimited.events, / written \d+$/);
    const response = await open(url);
    response.pause();
    const written = Number(/\d+$/.exec((await logged).summary)?.[0]);
    // The socket buffers of a loopback connection hold some megabytes. The local cloud adds almost nothing.
    expect(written).toBeLessThan(12 * MB);
    response.destroy();
  });

  it("sends the first bytes at full speed, then a fixed number of bytes per second", async () => {
    const { url } = await serve(cloud, streaming(`stream.write("x".repeat(${2 * MB})); stream.end();`));
    const response = await open(url);
    const startedMs = performance.now();
    let bytes = 0;
    let burstMs = 0;
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes <= MB) burstMs = performance.now() - startedMs;
    }
    const totalMs = performance.now() - startedMs;
    expect(bytes).toBe(2 * MB);
    expect(totalMs).toBeGreaterThan(900);
    expect(burstMs).toBeLessThan(totalMs / 2);
  });

  it("breaks the connection at the size limit", async () => {
    const { url } = await serve(
      cloud,
      streaming(`stream.write("x".repeat(${3 * MB})); stream.write("y"); stream.end();`),
    );
    const { body, cut } = await get(url);
    expect({ length: body.length, cut }).toEqual({ length: 3 * MB, cut: true });
  });

  it("breaks the connection when the function times out", async () => {
    const { url } = await serve(cloud, streaming("stream.write('one'); stream.write('two'); await sleep(9000)"), {
      function: { timeout: 1 },
    });
    expect(await get(url)).toMatchObject({ status: 200, body: "one", cut: true });
  });

  it("breaks the connection when the function times out during a large chunk", async () => {
    const large = `stream.write("x".repeat(${2.5 * MB})); stream.write("y"); await sleep(9000)`;
    const { url } = await serve(cloud, streaming(large), { function: { timeout: 1 } });
    const { body, cut } = await get(url);
    expect(cut).toBe(true);
    expect(body.length).toBeGreaterThanOrEqual(MB);
    expect(body.length).toBeLessThan(2.5 * MB);
  });

  it("answers 502 when the function throws before the first byte, and breaks the connection when it throws later", async () => {
    const { url } = await serve(
      cloud,
      streaming(`if (event.rawPath === "/late") { stream.write("one"); stream.write("two"); await sleep(50); }
        throw new Error("no sake");`),
    );
    expect(await get(`${url}late`)).toMatchObject({ status: 200, cut: true });
    expect(await get(url)).toMatchObject({ status: 502, body: "Internal Server Error", cut: false });
  });

  it("answers 502 to an invalid status or header", async () => {
    const { url } = await serve(
      cloud,
      `exports.handler = awslambda.streamifyResponse(async (event, raw) => {
        const invalid = event.rawPath === "/status" ? { statusCode: 42 } : { statusCode: 200, headers: { "x-own": "a\\nb" } };
        const stream = awslambda.HttpResponseStream.from(raw, invalid);
        stream.write("one");
        stream.end();
      })`,
    );
    for (const path of ["status", "header"])
      expect(await get(`${url}${path}`)).toMatchObject({ status: 502, body: "Internal Server Error" });
  });

  it("keeps a response without a body open until the function's timeout", async () => {
    const { url } = await serve(cloud, streaming("stream.write(''); stream.end()"), { function: { timeout: 2 } });
    const started = performance.now();
    expect(await get(url)).toMatchObject({ status: 200, body: "", cut: true });
    expect(performance.now() - started).toBeGreaterThan(1500);
  });

  it("loses status and headers when the function ends the stream without a write", async () => {
    const { url } = await serve(
      cloud,
      `exports.handler = awslambda.streamifyResponse(async (event, raw) => {
        const stream = awslambda.HttpResponseStream.from(raw, { statusCode: 404, headers: { "x-own": "1" } });
        if (event.rawPath === "/text") stream.end("Not Found"); else stream.end();
      })`,
      { function: { timeout: 1 } },
    );
    const { status, headers } = await get(url);
    expect({ status, own: headers["x-own"] }).toEqual({ status: 200, own: undefined });
    expect(await get(`${url}text`)).toMatchObject({ status: 502, body: "Internal Server Error" });
  });

  it("times out when the function never ends the stream", async () => {
    const { url } = await serve(cloud, streaming("stream.write('one')"), { function: { timeout: 1 } });
    const failed = nextEvent(cloud.events, /^chat-\w+ → Sandbox\.Timedout$/);
    expect(await get(url)).toMatchObject({ cut: true });
    await failed;
  });

  it("rejects new headers after the first write", async () => {
    const { url } = await serve(
      cloud,
      streaming(`stream.write("one ");
        try { awslambda.HttpResponseStream.from(raw, { statusCode: 500 }) } catch (error) { stream.write(error.message) }
        stream.end();`),
    );
    expect(await get(url)).toMatchObject({ status: 200, body: "one Cannot set content-type, too late." });
  });

  it("uses application/octet-stream, or the stream's content type, when there are no headers", async () => {
    const { url } = await serve(
      cloud,
      `exports.handler = awslambda.streamifyResponse(async (event, stream) => {
        if (event.rawPath === "/typed") stream.setContentType("text/event-stream");
        stream.write({ plain: true });
        stream.end();
      })`,
    );
    const plain = await get(url);
    expect([plain.body, plain.headers["content-type"]]).toEqual(['{"plain":true}', "application/octet-stream"]);
    expect((await get(`${url}typed`)).headers["content-type"]).toBe("text/event-stream");
  });

  it("accepts a pipeline from a readable stream", async () => {
    const { url } = await serve(
      cloud,
      streaming(`const { pipeline } = require("node:stream/promises");
        const { Readable } = require("node:stream");
        await pipeline(Readable.from(["one ", "two ", "three"]), stream);`),
    );
    expect(await get(url)).toMatchObject({ status: 200, body: "one two three", cut: false });
  });

  it("runs an inline closure that Pulumi has serialized", async () => {
    // The function comes from a string, because the test runner rewrites the functions of a test file.
    const factory = runInThisContext(`() => globalThis.awslambda.streamifyResponse(async (event, raw) => {
      const stream = globalThis.awslambda.HttpResponseStream.from(raw, { statusCode: 202 });
      stream.write("inline");
      stream.end();
    })`);
    const { text: serialized } = await runtime.serializeFunction(factory, { isFactoryFunction: true });
    const { url } = await serve(cloud, serialized);
    expect(await get(url)).toMatchObject({ status: 202, body: "inline" });
  });

  it("reuses a warm worker for the next stream", async () => {
    const { url } = await serve(
      cloud,
      `let n = 0; ${streaming("stream.write(String(++n)); stream.write('.'.repeat(200_000)); stream.end()")}`,
    );
    // The worker becomes free a moment after the response. Therefore one of the calls can start another worker.
    await vi.waitFor(async () => expect((await get(url)).body[0]).toBe("3"));
  });
});

describe("Invoke mode", () => {
  const proxy = "exports.handler = async () => ({ statusCode: 201, headers: { 'x-own': '1' }, body: 'hello' })";

  it("BUFFERED converts the result of a non-streaming handler to a response", async () => {
    const { url } = await serve(cloud, proxy, { url: { invokeMode: "BUFFERED" } });
    expect(await get(url)).toMatchObject({ status: 201, headers: { "x-own": "1" }, body: "hello" });
  });

  it("RESPONSE_STREAM returns the result of a non-streaming handler as the body", async () => {
    const { url } = await serve(cloud, proxy);
    const { status, body } = await get(url);
    expect([status, JSON.parse(body)]).toEqual([200, { statusCode: 201, headers: { "x-own": "1" }, body: "hello" }]);
  });

  it("BUFFERED returns a streaming handler's status and headers in the body", async () => {
    const { url } = await serve(cloud, streaming("stream.write('hello'); stream.end()"), {
      url: { invokeMode: "BUFFERED" },
    });
    const { status, body } = await get(url);
    expect(status).toBe(200);
    expect(body).toBe('{"statusCode":200,"headers":{"content-type":"text/plain"}}\0\0\0\0\0\0\0\0hello');
  });

  it.each(["BUFFERED", "RESPONSE_STREAM"])("%s answers 502 when the function fails", async (invokeMode) => {
    const { url } = await serve(cloud, "exports.handler = async () => { throw new Error() }", { url: { invokeMode } });
    expect(await get(url)).toMatchObject({ status: 502, body: "Internal Server Error" });
  });
});

describe("CORS of a function URL", () => {
  const cors = {
    allowOrigins: ["https://snack.example"],
    allowMethods: ["POST"],
    allowHeaders: ["authorization"],
    exposeHeaders: ["retry-after"],
    maxAge: 600,
  };
  const origin = { origin: "https://snack.example" };
  const preflight = { method: "OPTIONS", headers: { ...origin, "access-control-request-method": "POST" } };
  const handler = `exports.handler = async (event) => ({ statusCode: 200, body: event.requestContext.http.method,
    headers: { "access-control-allow-origin": "https://own.example" } })`;

  it("answers a preflight without invoking the function", async () => {
    const { url } = await serve(cloud, handler, { url: { cors, invokeMode: "BUFFERED" }, permissions: [] });
    const { status, headers, body } = await get(url, preflight);
    expect({ status, body }).toEqual({ status: 200, body: "" });
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://snack.example",
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "authorization",
      "access-control-max-age": "600",
    });
    const other = await get(url, { ...preflight, headers: { ...preflight.headers, origin: "https://evil.example" } });
    expect(other.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("adds its headers and keeps the function's headers", async () => {
    const { url } = await serve(cloud, handler, { url: { cors, invokeMode: "BUFFERED" } });
    const response = await open(url, { headers: origin });
    expect(lines(response, "access-control-allow-origin")).toEqual(["https://own.example", "https://snack.example"]);
    expect(lines(response, "access-control-expose-headers")).toEqual(["retry-after"]);
    response.resume();
    const other = await open(url, { headers: { origin: "https://evil.example" } });
    expect(lines(other, "access-control-allow-origin")).toEqual(["https://own.example"]);
    other.resume();
  });

  it("adds its headers to a streamed response and to an error", async () => {
    const { url } = await serve(cloud, streaming("stream.write('one'); stream.end()"), { url: { cors } });
    expect((await get(url, { headers: origin })).headers["access-control-allow-origin"]).toBe("https://snack.example");
    const closed = await serve(cloud, handler, { url: { cors }, permissions: [] });
    expect(await get(closed.url, { headers: origin })).toMatchObject({
      status: 403,
      headers: { "access-control-allow-origin": "https://snack.example" },
    });
  });

  it("passes a preflight to the function when CORS is not configured", async () => {
    const { url } = await serve(cloud, handler, { url: { invokeMode: "BUFFERED" } });
    expect(await get(url, preflight)).toMatchObject({ status: 200, body: "OPTIONS" });
  });
});

describe("Concurrency of a function URL", () => {
  it("answers 429 at once above the reserved concurrency", async () => {
    const { url } = await serve(cloud, streaming("stream.write('one'); await sleep(700); stream.end()"), {
      function: { reservedConcurrentExecutions: 5 },
    });
    const answers = await Promise.all(Array.from({ length: 7 }, () => get(url)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 429, 429]);
    const throttled = answers.find(({ status }) => status === 429);
    expect(JSON.parse(throttled?.body ?? "")).toEqual({
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      Type: "User",
      message: "Rate Exceeded.",
    });
    expect((await get(url)).status).toBe(200);
  });

  it("counts a function that still runs after its client disconnected", async () => {
    const { url } = await serve(cloud, streaming("stream.write('one'); await sleep(800); stream.end()"), {
      function: { reservedConcurrentExecutions: 1 },
    });
    const finished = nextEvent(cloud.events, /^chat-\w+ → ok$/);
    (await open(url)).destroy();
    await sleep(50);
    expect((await get(url)).status).toBe(429);
    await finished;
    expect((await get(url)).status).toBe(200);
  });

  it("never runs a function whose reserved concurrency is 0", async () => {
    const { fn, url } = await serve(cloud, streaming("stream.write('one'); stream.end()"), {
      function: { reservedConcurrentExecutions: 0 },
    });
    expect((await get(url)).status).toBe(429);
    const client = new LambdaClient({
      endpoint: cloud.aws.endpoints.lambda,
      region: "us-east-1",
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
      maxAttempts: 1,
    });
    await expect(client.send(new InvokeCommand({ FunctionName: fn.id }))).rejects.toMatchObject({
      name: "TooManyRequestsException",
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
    });
    client.destroy();
  });
});

describe("Port of a function URL", () => {
  it("stays the same after a restart and closes with the resource", async () => {
    await using first = await startTestCloud();
    const { url } = await serve(first, streaming("stream.write('one'); stream.end()"));
    await first.stop();
    await using second = await startTestCloud({ dir: first.dir });
    expect(await text(await open(url))).toBe("one");
    const [resource] = second.aws.account.list(URL_TYPE);
    await second.engine.delete({
      type: URL_TYPE,
      name: "chat",
      id: resource?.id ?? "",
      inputs: resource?.inputs ?? {},
      outputs: resource?.outputs ?? {},
    });
    await expect(open(url)).rejects.toThrow(/ECONNREFUSED/);
  });

  it("is the first free port of the configured range", async () => {
    await using first = await startTestCloud();
    await serve(first, streaming("stream.end()"));
    await first.stop();
    await using second = await startTestCloud({ dir: first.dir, urlPorts: 4510 });
    const [moved] = second.aws.account.list(URL_TYPE);
    expect(Number(new URL(String(moved?.outputs.functionUrl)).port)).toBeGreaterThanOrEqual(4510);
    expect(Number(new URL(String(moved?.outputs.functionUrl)).port)).toBeLessThan(4610);
  });
});

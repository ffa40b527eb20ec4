import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CloudEvent } from "../../../local/support/events";
import { archive, asset, code, startTestCloud } from "./fixture";

const FUNCTION = "aws:lambda/function:Function";
const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };

describe("Lambda", () => {
  it("runs code with Lambda's environment variables and without the host's variables", async () => {
    await using cloud = await startTestCloud({
      extraEnv: () => ({ AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: "http://idp" }),
    });
    const handler = `exports.handler = async (event, context) => ({
      event, env: process.env, name: context.functionName, left: context.getRemainingTimeInMillis() > 0,
      library: require("./lib/greet.cjs"), flags: process.execArgv })`;
    const assets = {
      "__index.js": asset({ text: handler }),
      "lib/greet.cjs": asset({ text: "module.exports = 'kanpai'" }),
    };
    const inputs = {
      ...lambda,
      memorySize: 256,
      environment: { variables: { TABLE: "t" } },
      code: archive({ assets }),
    };
    const fn = await cloud.engine.create(FUNCTION, "session", inputs);
    const result = await cloud.aws.invoke(String(fn.outputs.arn), { hello: "ママ" });
    expect(result).toMatchObject({ event: { hello: "ママ" }, name: fn.id, left: true, library: "kanpai" });
    const { env, flags } = result as { env: Record<string, string>; flags: string[] };
    expect(env).toMatchObject({
      AWS_REGION: "us-east-1",
      AWS_LAMBDA_FUNCTION_NAME: fn.id,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_ENDPOINT_URL_DYNAMODB: cloud.aws.endpoints.dynamodb,
      AWS_ENDPOINT_URL_SSM: cloud.aws.endpoints.ssm,
      AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: "http://idp",
      TABLE: "t",
    });
    for (const foreign of ["PATH", "HOME", "NODE_OPTIONS", "VITEST"]) expect(env).not.toHaveProperty(foreign);
    expect(flags).toContain("--no-experimental-require-module");
  });

  it("rejects require() of an ESM-only dependency, as AWS does", async () => {
    await using cloud = await startTestCloud();
    const assets = {
      "__index.js": asset({ text: "exports.handler = async () => require('./esm.mjs').default" }),
      "esm.mjs": asset({ text: "export default 1" }),
    };
    const fn = await cloud.engine.create(FUNCTION, "esm", { ...lambda, code: archive({ assets }) });
    await expect(cloud.aws.invoke(fn.id, {})).rejects.toMatchObject({
      payload: { errorMessage: expect.stringContaining("ES Module") },
    });
  });

  it("reuses a warm worker until the code or the configuration changes", async () => {
    await using cloud = await startTestCloud();
    const counter = (version: string) =>
      code(
        `let n = 0; exports.handler = async () => { const mine = ++n; await new Promise(r => setTimeout(r, 30)); return "${version}" + mine + process.env.MODE }`,
      );
    const fn = await cloud.engine.create(FUNCTION, "warm", { ...lambda, timeout: 10, code: counter("a") });
    expect(await cloud.aws.invoke(fn.id, {})).toBe("a1undefined");
    expect(await cloud.aws.invoke(fn.id, {})).toBe("a2undefined");
    const many = await Promise.all(Array.from({ length: 12 }, () => cloud.aws.invoke(fn.id, {})));
    expect(many).toHaveLength(12);
    // The warm worker continued its count, and at most three more workers started.
    expect(many).toContain("a3undefined");
    const started = many.filter((one) => one === "a1undefined").length;
    expect(started).toBeGreaterThan(0);
    expect(started).toBeLessThan(4);
    const changed = await cloud.engine.update(fn, { ...lambda, timeout: 10, code: counter("b") });
    expect(changed.outputs.sourceCodeHash).not.toBe(fn.outputs.sourceCodeHash);
    expect(await cloud.aws.invoke(fn.id, {})).toBe("b1undefined");
    await cloud.engine.update(changed, {
      ...lambda,
      timeout: 10,
      environment: { variables: { MODE: "x" } },
      code: counter("b"),
    });
    expect(await cloud.aws.invoke(fn.id, {})).toBe("b1x");
  });

  it.each([
    ["a thrown error", "exports.handler = async () => { throw new TypeError('no sake') }", "TypeError", /no sake/],
    [
      "an unhandled rejection",
      "exports.handler = () => { Promise.reject(new Error('spilled')); return new Promise(() => {}) }",
      "Runtime.Error",
      /spilled/,
    ],
    ["an exit of the process", "exports.handler = () => process.exit(3)", "Runtime.ExitError", /code 3/],
    ["a timeout", "exports.handler = () => { for (;;) {} }", "Sandbox.Timedout", /timed out after 1\.00 seconds/],
    ["a missing handler", "exports.other = 1", "Runtime.HandlerNotFound", /__index\.handler/],
  ])("returns the same error as AWS for %s and processes the next event", async (_case, broken, errorType, message) => {
    await using cloud = await startTestCloud();
    const fn = await cloud.engine.create(FUNCTION, "broken", { ...lambda, timeout: 1, code: code(broken) });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(cloud.aws.invoke(fn.id, {})).rejects.toMatchObject({
        payload: { errorType, errorMessage: expect.stringMatching(message) },
      });
    }
    const repaired = await cloud.engine.update(fn, {
      ...lambda,
      timeout: 9,
      code: code("exports.handler = async () => 'ok'"),
    });
    expect(await cloud.aws.invoke(repaired.id, {})).toBe("ok");
  });

  it("emits the console lines of a function as events", async () => {
    await using cloud = await startTestCloud();
    const seen = new Promise<CloudEvent>((resolve) => {
      cloud.events.subscribe((event) => event.summary.endsWith("kanpai") && resolve(event));
    });
    const fn = await cloud.engine.create(FUNCTION, "loud", {
      ...lambda,
      code: code("exports.handler = async () => { console.log('kanpai') }"),
    });
    await cloud.aws.invoke(fn.id, {});
    expect(await seen).toMatchObject({ source: "lambda", summary: `${fn.id} kanpai` });
  });

  it("deletes the unpacked package when the function is deleted", async () => {
    await using cloud = await startTestCloud();
    const fn = await cloud.engine.create(FUNCTION, "gone", {
      ...lambda,
      code: code("exports.handler = async () => 1"),
    });
    expect(await readdir(join(cloud.dir, "functions"))).toEqual([fn.id]);
    await cloud.engine.delete(fn);
    expect(await readdir(join(cloud.dir, "functions"))).toEqual([]);
    await expect(cloud.aws.invoke(fn.id, {})).rejects.toThrow(/Function not found/);
  });

  it("removes the packages of earlier code at the next start", async () => {
    await using first = await startTestCloud();
    const version = (n: number) => ({ ...lambda, code: code(`exports.handler = async () => ${n}`) });
    const fn = await first.engine.create(FUNCTION, "renewed", version(1));
    await first.engine.update(fn, version(2));
    const packages = () => readdir(join(first.dir, "functions", fn.id));
    expect(await packages()).toHaveLength(2);
    await first.stop();

    const second = await startTestCloud({ dir: first.dir });
    expect(await packages()).toEqual([second.aws.account.get(FUNCTION, fn.id)?.outputs.sourceCodeHash]);
    expect(await second.aws.invoke(fn.id, {})).toBe(2);
    await second.stop();
  });

  it("rejects an archive with an entry outside the package", async () => {
    await using cloud = await startTestCloud();
    const escaping = archive({ assets: { "../../evil.js": asset({ text: "" }) } });
    await expect(cloud.engine.create(FUNCTION, "evil", { ...lambda, code: escaping })).rejects.toThrow(
      /outside the package/,
    );
    expect(cloud.aws.account.list(FUNCTION)).toEqual([]);
  });
});

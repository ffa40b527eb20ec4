import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { destroy, EngineError, preview, refresh, type StepEvent, up } from "../../../local/pulumi/engine";
import { serveThings, temporaryProgram } from "./fixture";

// Each run starts two processes, which is slow on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let cloud: Awaited<ReturnType<typeof serveThings>>;
let stack: ReturnType<typeof temporaryProgram>;
const cacheDir = mkdtempSync(join(tmpdir(), "snack-engine-cache-"));

beforeEach(async () => {
  cloud = await serveThings();
  stack = temporaryProgram(cloud.port, cacheDir);
});
afterEach(async () => {
  await cloud.close();
  stack.remove();
});
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

const shown = (steps: StepEvent[]) =>
  Object.fromEntries(steps.filter(({ custom }) => custom).map(({ name, op }) => [name, op]));

async function failure(run: Promise<unknown>): Promise<string> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EngineError);
  return (error as EngineError).message;
}

const savedState = () => readFileSync(stack.options.statePath, "utf8");
const savedResource = (name: string) =>
  JSON.parse(savedState()).resources.find((resource: { urn: string }) => resource.urn.endsWith(`::${name}`));

describe("up", () => {
  it("creates resources in the order of their dependencies and returns the stack's outputs", async () => {
    stack.program(`
      const a = new Thing("a", { size: config.requireNumber("size") });
      const b = new Thing("b", { of: a.arn });
      module.exports = { arn: b.arn, of: a.arn.apply((arn) => "<" + arn + ">"), password: config.requireSecret("password") };`);
    const { outputs, steps } = await up(stack.options);

    expect(outputs).toEqual({ arn: "arn:b-2", of: "<arn:a-1>", password: "[secret]" });
    expect(cloud.calls).toEqual(["create a", "create b"]);
    expect(cloud.things.get("b-2")).toEqual({ of: "arn:a-1", color: "red" });
    expect(cloud.configured).toEqual([{ region: "ap-northeast-1" }]);
    expect(steps.map(({ op, name, type }) => `${op} ${type} ${name}`)).toEqual([
      "create pulumi:pulumi:Stack snack-test",
      "create aws:test/thing:Thing a",
      "create aws:test/thing:Thing b",
    ]);
    expect(savedResource("b")).toMatchObject({
      urn: "urn:pulumi:test::snack::aws:test/thing:Thing::b",
      id: "b-2",
      dependencies: ["urn:pulumi:test::snack::aws:test/thing:Thing::a"],
      propertyDependencies: { of: ["urn:pulumi:test::snack::aws:test/thing:Thing::a"] },
    });
  });

  it("updates changed resources, deletes removed resources and keeps all other resources unchanged", async () => {
    stack.program(`new Thing("a", { size: 1 }); new Thing("b", {});`);
    await up(stack.options);
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "same", b: "same" });

    stack.program(`new Thing("a", { size: 2 });`);
    cloud.calls.length = 0;
    const { steps } = await up(stack.options);
    expect(shown(steps)).toEqual({ a: "update", b: "delete" });
    expect(steps.find(({ name }) => name === "a")).toMatchObject({ changed: ["size"], replaceKeys: [] });
    expect(cloud.calls).toEqual(["update a", "delete b"]);
    expect([...cloud.things.values()]).toEqual([{ size: 2, color: "red" }]);
  });

  it("creates all replacements before it deletes the old resources", async () => {
    stack.program(`const a = new Thing("a", { kind: "x" }); new Thing("b", { base: a.arn });`);
    await up(stack.options);
    stack.program(`const a = new Thing("a", { kind: "y" }); new Thing("b", { base: a.arn });`);
    cloud.calls.length = 0;
    const { steps } = await up(stack.options);
    expect(shown(steps)).toEqual({ a: "replace", b: "replace" });
    expect(steps.find(({ name }) => name === "a")).toMatchObject({ changed: ["kind"], replaceKeys: ["kind"] });
    expect(cloud.calls).toEqual(["create a", "create b", "delete b", "delete a"]);
    expect(JSON.parse(savedState()).resources).toHaveLength(3);
  });

  it("deletes the old resources before it creates replacements when the provider requests this order", async () => {
    stack.program(
      `const a = new Thing("a", { kind: "sole" }); new Thing("b", { base: a.arn }); new Thing("c", { of: a.arn });`,
    );
    await up(stack.options);
    stack.program(
      `const a = new Thing("a", { kind: "y" }); new Thing("b", { base: a.arn }); new Thing("c", { of: a.arn });`,
    );
    cloud.calls.length = 0;
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "replace", b: "replace", c: "update" });
    expect(cloud.calls.slice(0, 3)).toEqual(["delete b", "delete a", "create a"]);
    expect(cloud.calls.slice(3).sort()).toEqual(["create b", "update c"]);
  });

  it("applies ignoreChanges, replaceOnChanges, retainOnDelete and aliases", async () => {
    stack.program(`
      new Thing("ignored", { tags: { a: 1, b: 1 } }); new Thing("strict", { size: 1 });
      new Thing("kept", {}, { retainOnDelete: true }); new Thing("before", {});`);
    await up(stack.options);
    stack.program(`
      new Thing("ignored", { tags: { a: 2, b: 1 } }, { ignoreChanges: ["tags.a"] });
      new Thing("strict", { size: 2 }, { replaceOnChanges: ["size"] });
      new Thing("after", {}, { aliases: [{ name: "before" }] });`);
    cloud.calls.length = 0;
    const { steps } = await up(stack.options);
    expect(shown(steps)).toEqual({ ignored: "same", strict: "replace", after: "same", kept: "delete" });
    expect(steps.filter(({ retained }) => retained).map(({ name }) => name)).toEqual(["kept"]);
    expect(cloud.calls).toEqual(["create strict", "delete strict"]);
    expect([...cloud.things.keys()].some((id) => id.startsWith("kept"))).toBe(true);
  });

  it("keeps a component's children when the component moves to another parent", async () => {
    const room = (name: string, opts: string) =>
      `new pulumi.ComponentResource("snack:test:Room", "${name}", {}, ${opts})`;
    stack.program(`
      const outer = new pulumi.ComponentResource("snack:test:House", "house");
      const room = ${room("room", "{ parent: outer }")};
      const inner = ${room("inner", "{ parent: room }")};
      new Thing("a", {}, { parent: inner });`);
    await up(stack.options);
    const { id } = savedResource("a");
    stack.program(`
      const aliases = [{ parent: pulumi.createUrn("house", "snack:test:House") }];
      const room = ${room("room", "{ aliases }")};
      const inner = ${room("inner", "{ parent: room }")};
      new Thing("a", {}, { parent: inner });`);
    cloud.calls.length = 0;
    expect(shown((await up(stack.options)).steps).a).toBe("same");
    expect(cloud.calls).toEqual([]);
    const { id: after, urn } = savedResource("a");
    expect([after, urn]).toEqual([
      id,
      "urn:pulumi:test::snack::snack:test:Room$snack:test:Room$aws:test/thing:Thing::a",
    ]);
  });

  it("generates a new automatic name for a replacement and keeps the name in an update", async () => {
    const program = (kind: string, size: number) =>
      stack.program(`new Thing("a", { labelled: true, kind: "${kind}", size: ${size} });`);
    program("x", 1);
    await up(stack.options);
    const { label } = savedResource("a").inputs;
    program("x", 2);
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "update" });
    expect(savedResource("a").inputs.label).toBe(label);
    program("y", 2);
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "replace" });
    expect(savedResource("a").inputs.label).toMatch(/^label-/);
    expect(savedResource("a").inputs.label).not.toBe(label);
  });

  it("rejects deletion and replacement of a resource that inherits protect from its parent", async () => {
    const program = (kind: string) => `
      const parent = new pulumi.ComponentResource("snack:test:Room", "room", {}, { protect: true });
      new Thing("a", { kind: "${kind}" }, { parent });`;
    stack.program(program("x"));
    await up(stack.options);
    expect(savedResource("a").urn).toBe("urn:pulumi:test::snack::snack:test:Room$aws:test/thing:Thing::a");
    stack.program(program("y"));
    expect(await failure(up(stack.options))).toMatch(/^aws:test\/thing:Thing "a": is protected/);
    expect(await failure(destroy(stack.options))).toMatch(
      /^cannot delete protected resources: .*"room", .*"a"\. Nothing was deleted/,
    );
    expect(cloud.things.size).toBe(1);
  });

  it("masks secret outputs and stores marked secrets in a state file that only the owner can read", async () => {
    stack.program(`
      const a = new Thing("a", { password: config.requireSecret("password") }, { additionalSecretOutputs: ["secretText"] });
      exports.text = a.secretText;`);
    const { outputs } = await up(stack.options);
    expect(outputs).toEqual({ text: "[secret]" });
    const marked = (value: string) => ({
      "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
      value,
    });
    expect(savedResource("a").inputs.password).toEqual(marked("canary-1234"));
    expect(savedResource("a").outputs.secretText).toEqual(marked("hidden-5678"));
    expect(statSync(stack.options.statePath).mode & 0o777).toBe(0o600);
  });

  it("updates a resource when a file at an unchanged path changes", async () => {
    stack.program(`
      new Thing("code", { code: new pulumi.asset.AssetArchive({ "a.txt": new pulumi.asset.FileAsset("./a.txt"), "b": new pulumi.asset.StringAsset("b") }) });
      new Thing("zip", { code: new pulumi.asset.FileArchive("./a.txt") });`);
    stack.write("a.txt", "one");
    await up(stack.options);
    expect(shown((await up(stack.options)).steps)).toEqual({ code: "same", zip: "same" });
    stack.write("a.txt", "two");
    const { steps } = await up(stack.options);
    expect(shown(steps)).toEqual({ code: "update", zip: "update" });
    expect(steps.find(({ name }) => name === "code")?.changed).toEqual(["code"]);
  });

  it("manages the children of a component that a provider constructs", async () => {
    stack.program(`const pair = new Pair("p", { size: 1 }); exports.arn = new Thing("user", { of: pair.arn }).of;`);
    const { outputs, steps } = await up(stack.options);
    expect(outputs.arn).toMatch(/^arn:p-left-/);
    expect(shown(steps)).toEqual({ "p-left": "create", "p-right": "create", user: "create" });
    expect(savedResource("p-left").urn).toBe("urn:pulumi:test::snack::aws:test/pair:Pair$aws:test/thing:Thing::p-left");

    stack.program(`new Pair("p", { size: 10 });`);
    expect(await failure(up(stack.options))).toMatch(
      /^aws:test\/thing:Thing "p-(left|right)": size: must be at most 9$/,
    );
    stack.program("");
    await up(stack.options);
    expect(cloud.things.size).toBe(0);
  });

  it("passes retainOnDelete to the children of a component that a provider constructs", async () => {
    stack.program(`new Pair("p", { size: 1 }, { retainOnDelete: true });`);
    await up(stack.options);
    stack.program("");
    expect(shown((await up(stack.options)).steps)).toEqual({ "p-left": "delete", "p-right": "delete" });
    expect([...cloud.things.keys()].map((id) => id.replace(/-\d+$/, "")).sort()).toEqual(["p-left", "p-right"]);
  });

  it("returns a resource's state for the resource's URN", async () => {
    stack.program(`
      const a = new Thing("a", { size: 3 });
      exports.found = a.urn.apply((urn) => pulumi.runtime.invoke("pulumi:pulumi:getResource", { urn }));`);
    const { outputs } = await up(stack.options);
    expect(outputs.found).toMatchObject({
      urn: "urn:pulumi:test::snack::aws:test/thing:Thing::a",
      id: "a-1",
      state: { size: 3, arn: "arn:a-1" },
    });
    stack.program(`exports.found = pulumi.runtime.invoke("pulumi:pulumi:getResource", { urn: "urn:nobody" });`);
    expect(await failure(up(stack.options))).toContain("resource urn:nobody does not exist");
  });

  it("returns the result of a data source", async () => {
    stack.program(`exports.found = getThing({ size: 3 });`);
    expect((await up(stack.options)).outputs).toEqual({ found: { size: 3, found: true } });
  });
});

describe("Failure", () => {
  it("names the resource, the property and the reason for a rejected input", async () => {
    stack.program(`new Thing("big", { size: 10 });`);
    expect(await failure(up(stack.options))).toBe('aws:test/thing:Thing "big": size: must be at most 9');
  });

  it("keeps the created resources, and the next run creates only the missing resources", async () => {
    const program = (fail: boolean) =>
      `const a = new Thing("a", {}); const b = new Thing("b", { of: a.arn, fail: ${fail} }); new Thing("c", { of: b.arn });`;
    stack.program(program(true));
    expect(await failure(up(stack.options))).toBe('aws:test/thing:Thing "b": quota reached');
    expect(cloud.calls).toEqual(["create a", "create b"]);
    stack.program(program(false));
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "same", b: "create", c: "create" });
  });

  it("keeps the id of a resource that is not ready, and the next run updates that resource", async () => {
    stack.program(`new Thing("a", { notReady: true });`);
    expect(await failure(up(stack.options))).toBe(
      'aws:test/thing:Thing "a": exists (a-1) but is not ready: no capacity yet',
    );
    expect(savedResource("a")).toMatchObject({ id: "a-1", initErrors: ["no capacity yet"] });
    expect(shown((await up(stack.options)).steps)).toEqual({ a: "update" });
    expect(savedResource("a")).toMatchObject({ id: "a-1", initErrors: [] });
  });

  it("reports the program's own error when the program fails, and deletes nothing", async () => {
    stack.program(`new Thing("a", {});`);
    await up(stack.options);
    stack.program(`throw new Error("workersMax must be at least 1");`);
    expect(await failure(up(stack.options))).toBe("workersMax must be at least 1");
    stack.program(`throw new pulumi.RunError("no such plan");`);
    expect(await failure(up(stack.options))).toBe("no such plan");
    stack.program(`require("./nowhere");`);
    expect(await failure(up(stack.options))).toContain("Cannot find module './nowhere'");
    expect(cloud.things.size).toBe(1);
  });

  it("names the package when its provider is missing", async () => {
    stack.program(`new pulumi.CustomResource("random:index:Id", "r", {});`);
    expect(await failure(up(stack.options))).toBe(
      'random:index:Id "r": no provider for package "random" (available: pulumi-nodejs, aws)',
    );
  });

  it("names the resource and the file when a file is missing", async () => {
    stack.program(`new Thing("a", { code: new pulumi.asset.FileArchive("./missing.zip") });`);
    expect(await failure(up(stack.options))).toMatch(
      /^aws:test\/thing:Thing "a": cannot read the file .*missing\.zip$/,
    );
  });
});

describe("Interrupted run", () => {
  it("ends the process of the program", async () => {
    const lifeline = createServer();
    await new Promise<void>((listening) => lifeline.listen(0, "127.0.0.1", listening));
    const ended = once(lifeline, "connection").then(([socket]) => once((socket as Socket).resume(), "close"));
    stack.program(`
      require("node:net").connect(${(lifeline.address() as AddressInfo).port}, "127.0.0.1");
      new Thing("a", { hang: true });`);
    const engine = JSON.stringify(resolve("local/pulumi/engine"));
    const outfile = join(stack.options.programDir, "run.js");
    buildSync({
      stdin: { contents: `import { up } from ${engine}; up(${JSON.stringify(stack.options)});`, resolveDir: "." },
      outfile,
      bundle: true,
      packages: "external",
      platform: "node",
    });
    const run = spawn(process.execPath, [outfile], { stdio: "ignore" });
    await vi.waitFor(() => expect(cloud.calls).toEqual(["create a"]), { timeout: 25_000 });
    run.kill("SIGINT");
    await once(run, "close");
    expect(run.signalCode).toBe("SIGINT");
    await ended;
    lifeline.close();
  });
});

describe("preview", () => {
  it("creates nothing and passes unknown outputs to dependent resources", async () => {
    stack.program(`
      const a = new Thing("a", {});
      const b = new Thing("b", { of: a.arn });
      a.arn.apply(() => { throw new Error("an unknown value was used"); });`);
    expect(shown((await preview(stack.options)).steps)).toEqual({ a: "create", b: "create" });
    expect(cloud.calls).toEqual([]);
    expect(() => savedState()).toThrow("ENOENT");
  });

  it("shows the updates, replacements and deletions that up would make", async () => {
    stack.program(`new Thing("a", { size: 1 }); new Thing("b", { kind: "x" }); new Thing("c", {});`);
    await up(stack.options);
    const before = savedState();
    cloud.calls.length = 0;
    stack.program(`new Thing("a", { size: 2 }); new Thing("b", { kind: "y" });`);
    expect(shown((await preview(stack.options)).steps)).toEqual({ a: "update", b: "replace", c: "delete" });
    expect(cloud.calls).toEqual([]);
    expect(savedState()).toBe(before);
  });
});

describe("refresh", () => {
  it("stores manual changes in the state and removes missing resources from the state", async () => {
    stack.program(`new Thing("a", { size: 1 }); new Thing("b", {});`);
    await up(stack.options);
    const [a] = [...cloud.things.keys()].filter((id) => id.startsWith("a"));
    const [b] = [...cloud.things.keys()].filter((id) => id.startsWith("b"));
    cloud.things.set(String(a), { size: 5, color: "red" });
    cloud.things.delete(String(b));
    expect(shown((await refresh(stack.options)).steps)).toEqual({ a: "update", b: "delete" });
    expect(shown((await preview(stack.options)).steps)).toEqual({ a: "update", b: "create" });
  });
});

describe("destroy", () => {
  it("deletes dependents first, and does not run the program", async () => {
    stack.program(
      `const a = new Thing("a", {}); const b = new Thing("b", { of: a.arn }); new Thing("c", { of: b.arn });`,
    );
    await up(stack.options);
    stack.program(`throw new Error("must not run");`);
    cloud.calls.length = 0;
    await destroy(stack.options);
    expect(cloud.calls).toEqual(["delete c", "delete b", "delete a"]);
    expect(JSON.parse(savedState()).resources).toEqual([]);
  });

  it("names a resource that could not be deleted and keeps only that resource and its dependencies", async () => {
    stack.program(`const a = new Thing("a", {}); new Thing("b", { of: a.arn, stuck: true }); new Thing("c", {});`);
    await up(stack.options);
    expect(await failure(destroy(stack.options))).toBe('aws:test/thing:Thing "b": still in use');
    expect([...cloud.things.keys()].map((id) => id[0]).sort()).toEqual(["a", "b"]);
  });
});

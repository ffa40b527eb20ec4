import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Children } from "../../../local/pulumi/children";
import { startDynamicProvider } from "../../../local/pulumi/dynamicProvider";
import { type EngineOptions, up } from "../../../local/pulumi/engine";
import { temporaryProgram } from "./fixture";

const resource = `
import * as pulumi from "@pulumi/pulumi";

async function call(action: string): Promise<void> {
  const { url, key } = (globalThis as any).api;
  const response = await fetch(url, { method: "POST", headers: { authorization: key }, body: action });
  if (!response.ok) throw new Error(await response.text());
}

const provider: pulumi.dynamic.ResourceProvider = {
  async configure({ config }) {
    (globalThis as any).api = { url: config.require("url"), key: config.require("password") };
  },
  async check(_olds, news) {
    return { inputs: news, failures: news.workers < 1 ? [{ property: "workers", reason: "must be at least 1" }] : [] };
  },
  async diff(_id, olds, news) {
    return { changes: olds.workers !== news.workers || olds.token !== news.token, replaces: [] };
  },
  async create({ workers, token }) {
    await call("create " + workers);
    return { id: "endpoint-1", outs: { workers, token, url: "https://endpoint-1" } };
  },
  async update(_id, _olds, { workers, token }) {
    await call("update " + workers);
    return { outs: { workers, token, url: "https://endpoint-1" } };
  },
  async delete(id) {
    await call("delete " + id);
  },
};

class Endpoint extends pulumi.dynamic.Resource {
  declare readonly url: pulumi.Output<string>;
  declare readonly token: pulumi.Output<string>;
  constructor(name: string, args: { workers: number; token: pulumi.Input<string> }) {
    super(provider, name, { url: undefined, ...args }, {}, "runpod", "Endpoint");
  }
}

const config = new pulumi.Config();`;

it("up runs a TypeScript program whose dynamic resources read the stack's configuration", async () => {
  const seen: string[] = [];
  const api = createServer(async (request, response) => {
    const body = (await request.toArray()).join("");
    seen.push(`${request.headers.authorization}: ${body}`);
    response.writeHead(body === "update 3" ? 429 : 200).end("too many workers");
  });
  await new Promise<void>((listening) => api.listen(0, "127.0.0.1", listening));
  const cacheDir = mkdtempSync(join(tmpdir(), "snack-engine-cache-"));
  const { options, write, remove } = temporaryProgram(0, cacheDir);
  const dynamic = {
    ...options,
    config: { ...options.config, "snack:url": `http://127.0.0.1:${(api.address() as AddressInfo).port}` },
    env: { NODE_COMPILE_CACHE: cacheDir },
    providers: {},
  };
  write("package.json", JSON.stringify({ main: "index.ts" }));
  const program = (workers: number) =>
    write(
      "index.ts",
      `${resource}
       const endpoint = new Endpoint("bar", { workers: ${workers}, token: config.requireSecret("password") });
       export const { url, token } = endpoint;`,
    );
  try {
    program(1);
    const first = await up(dynamic);
    expect(first.outputs).toEqual({ url: "https://endpoint-1", token: "[secret]" });
    expect(first.steps.at(-1)).toMatchObject({ op: "create", type: "pulumi-nodejs:dynamic/runpod:Endpoint" });

    program(2);
    expect((await up(dynamic)).steps.at(-1)).toMatchObject({ op: "update", name: "bar" });
    expect(seen).toEqual(["canary-1234: create 1", "canary-1234: update 2"]);

    program(3);
    await expect(up(dynamic)).rejects.toThrow('pulumi-nodejs:dynamic/runpod:Endpoint "bar": too many workers');
    program(0);
    await expect(up(dynamic)).rejects.toThrow('"bar": workers: must be at least 1');
    write("index.ts", "");
    expect((await up(dynamic)).steps.at(-1)).toMatchObject({ op: "delete", name: "bar" });
    expect(seen.at(-1)).toBe("canary-1234: delete endpoint-1");
  } finally {
    api.close();
    remove();
    rmSync(cacheDir, { recursive: true, force: true });
  }
}, 120_000);

it("up fails when its signal is aborted while a dynamic provider hangs", async () => {
  const stop = new AbortController();
  // The provider calls this API when the resource is created.
  const api = createServer(() => stop.abort());
  await new Promise<void>((listening) => api.listen(0, "127.0.0.1", listening));
  const cacheDir = mkdtempSync(join(tmpdir(), "snack-engine-cache-"));
  const { options, write, remove } = temporaryProgram(0, cacheDir);
  write("package.json", JSON.stringify({ main: "index.ts" }));
  write("index.ts", `${resource} new Endpoint("bar", { workers: 1, token: "" });`);
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  try {
    const running = up({
      ...options,
      config: { ...options.config, "snack:url": url },
      env: { NODE_COMPILE_CACHE: cacheDir },
      providers: {},
      signal: stop.signal,
    });
    await expect(running).rejects.toThrow();
    expect(stop.signal.aborted).toBe(true);
  } finally {
    api.closeAllConnections();
    api.close();
    remove();
    rmSync(cacheDir, { recursive: true, force: true });
  }
}, 120_000);

describe("The provider of dynamic resources", () => {
  const dir = mkdtempSync(join(tmpdir(), "snack-dynamic-start-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const start = (script: string) => {
    const children = new Children();
    const path = join(dir, "provider.cjs");
    writeFileSync(path, script);
    const options = { programDir: dir, project: "snack", stack: "test" } as EngineOptions;
    return startDynamicProvider(options, children, { script: path, timeoutMs: 2_000 }).finally(() => children.close());
  };
  const marker = JSON.stringify(join(dir, "started"));
  const sleep = "setInterval(() => {}, 1_000);";

  it("is started again when its first start is too slow", async () => {
    const script = `const fs = require("node:fs");
      if (fs.existsSync(${marker})) console.log(4242); else fs.writeFileSync(${marker}, ""); ${sleep}`;
    expect(await start(script)).toBe(4242);
  });

  it("fails with the next step when no start succeeds", async () => {
    await expect(start(sleep)).rejects.toThrow(
      "did not start in two attempts of 2 s. The machine is too busy: close other programs, and run the command again.",
    );
  });
});

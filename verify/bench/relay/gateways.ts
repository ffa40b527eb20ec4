import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Progress } from "../../../cli/progress";
import { root } from "../../../cli/root";
import { freePort } from "../../../local/support/ports";
import { findSystemPython, interpreterOf, pipInstall } from "../../../local/support/pythonEnvironment";
import type { Children } from "../children";
import type { StreamTarget } from "../streamClient";

/** Time limit for an installed gateway to become ready. */
const START_MS = 90_000;

const LITELLM_KEY = `sk-${randomUUID()}`;

/** A published LLM gateway. The benchmark installs it into `.build/bench/` and compares it with the relay. */
export interface Gateway {
  name: string;
  /** Installed packages with their versions. */
  packages: string[];
  /** Installs the packages into a folder. Returns the error in one line, or undefined after a success. */
  install(dir: string, packages: string[], progress: Progress): Promise<string | undefined>;
  /** Command line of the server, and the path that answers with status 200 when the server is ready. */
  server(dir: string, port: number, upstream: Upstream): { file: string; args: string[]; readyPath: string };
  /** Headers of a request to the gateway. */
  headers(upstream: Upstream): Record<string, string>;
}

/** The OpenAI-compatible server behind a gateway. */
export interface Upstream {
  url: string;
  model: string;
}

/** LiteLLM's proxy, without a database. It does not start without a key. */
export const litellm: Gateway = {
  name: "LiteLLM",
  packages: ["litellm[proxy]==1.108.0"],
  async install(dir, packages, progress) {
    const system = findSystemPython();
    if (!system) return "no Python 3.11 to 3.14 on the PATH";
    return (await exitCode(system, ["-m", "venv", dir])) === 0
      ? pipInstall(interpreterOf(dir), packages, progress.activity)
      : `${system} cannot create virtual environments`;
  },
  server(dir, port, { url, model }) {
    const config = join(dir, "config.json");
    const parameters = { model: `openai/${model}`, api_base: url, api_key: "key" };
    // JSON is also valid YAML.
    writeFileSync(
      config,
      JSON.stringify({
        model_list: [{ model_name: model, litellm_params: parameters }],
        general_settings: { master_key: LITELLM_KEY },
      }),
    );
    const address = ["--host", "127.0.0.1", "--port", String(port)];
    const args = ["--config", config, ...address, "--num_workers", "1", "--telemetry", "False"];
    return { file: join(interpreterOf(dir), "..", "litellm"), args, readyPath: "/health/liveliness" };
  },
  headers: () => ({ authorization: `Bearer ${LITELLM_KEY}` }),
};

/**
 * Portkey's gateway. Version 1.15.2 can stream with `@hono/node-server` 1.14.1, but not with newer versions: every
 * streamed request would fail with `TypeError: immutable` (github.com/Portkey-AI/gateway/issues/1389).
 */
export const portkey: Gateway = {
  name: "Portkey",
  packages: ["@portkey-ai/gateway@1.15.2", "@hono/node-server@1.14.1"],
  async install(dir, packages) {
    const versions = Object.fromEntries(
      packages.map((one) => [one.slice(0, one.lastIndexOf("@")), one.split("@").at(-1)]),
    );
    writeFileSync(join(dir, "package.json"), JSON.stringify({ dependencies: versions, overrides: versions }));
    const code = await exitCode("npm", ["install", "--prefix", dir, "--no-audit", "--no-fund"]);
    return code === 0 ? undefined : `npm install failed with exit code ${code}`;
  },
  server(dir, port) {
    const script = join(dir, "node_modules/@portkey-ai/gateway/build/start-server.js");
    return { file: process.execPath, args: [script, `--port=${port}`, "--headless"], readyPath: "/" };
  },
  headers: ({ url }) => ({
    authorization: "Bearer key",
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": url,
  }),
};

/**
 * Installs a gateway if necessary and starts it in front of the upstream.
 *
 * @returns the URL and the headers of the gateway's Chat Completions API
 * @throws Error when the gateway cannot be installed, or is not ready in time
 */
export async function startGateway(
  children: Children,
  gateway: Gateway,
  upstream: Upstream,
): Promise<Pick<StreamTarget, "url" | "headers">> {
  const dir = join(root, ".build/bench", gateway.name.toLowerCase());
  await install(gateway, dir);
  const port = await freePort();
  const { file, args, readyPath } = gateway.server(dir, port, upstream);
  const logFile = `${dir}.log`;
  const log = openSync(logFile, "w");
  // By default, LiteLLM downloads its table of prices at each start.
  const env = { PATH: process.env.PATH, HOME: dir, LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_MODE: "PRODUCTION" };
  const server = children.start(file, args, { cwd: dir, env, stdio: ["ignore", log, log] });
  const url = `http://127.0.0.1:${port}`;
  if (!(await isReady(server, `${url}${readyPath}`))) throw new Error(`${gateway.name} does not start: see ${logFile}`);
  return { url: `${url}/v1/chat/completions`, headers: gateway.headers(upstream) };
}

async function install({ name, packages, install: installInto }: Gateway, dir: string): Promise<void> {
  const stamp = join(dir, "installed.txt");
  const expected = packages.join("\n");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === expected) return;
  const progress = new Progress(process.stderr);
  progress.step(`installing ${packages.join(" and ")} into .build/bench (only the first time, about a minute) …`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const error = await installInto(dir, packages, progress);
  progress.clear();
  if (error) throw new Error(`${name} cannot be installed: ${error}`);
  writeFileSync(stamp, expected);
}

/** Runs a command and returns its exit code. Its output goes to stderr, because stdout is for `--json`. */
async function exitCode(file: string, args: string[]): Promise<number> {
  const child = spawn(file, args, { stdio: ["ignore", process.stderr, process.stderr] });
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

async function isReady(server: ChildProcess, url: string): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && server.exitCode === null) {
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return true;
    await sleep(200);
  }
  return false;
}

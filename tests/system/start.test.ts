import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  CognitoIdentityProviderClient,
  ConfirmSignUpCommand,
  SignUpCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { chat, createApi } from "../../client";
import { models } from "../../contract/plan";
import { readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { customers } from "../../local/cloud/customers";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { openAccount } from "../../local/runpod/account/accountFile";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { signedIn } from "../../local/visitor/customer";
import { copyRepository } from "../repositoryCopy";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-start-"));
const started: ChildProcess[] = [];
const python = findVenvPython();
// The tests compare whole lines. CI systems switch colors on.
process.env.NO_COLOR = "1";

afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Runs `npm start` in a separate process group. A terminal does the same, and its Ctrl-C interrupts the whole group.
 * Adds `--no-python` when the Python environment is missing, because its set-up takes minutes.
 */
function npmStart(...args: string[]) {
  return startIn(process.cwd(), "--dir", dir, ...(python ? [] : ["--no-python"]), ...args);
}

/** Runs `npm start` in the folder of a repository. */
function startIn(cwd: string, ...options: string[]) {
  const child = spawn(process.execPath, ["cli/run.cjs", "local/commands/start.ts", ...options], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  started.push(child);
  return child;
}

type Ready = ProgramOutputs & { pageUrl: string; jwksUrl: string; worker: string };

async function ready(child: ChildProcess): Promise<Ready> {
  if (!child.stdout) throw new Error("npm start has no stdout");
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as Ready;
  throw new Error("npm start ended before it was ready");
}

async function ctrlC(child: ChildProcess): Promise<number | null> {
  const exited = once(child, "exit");
  process.kill(-Number(child.pid), "SIGINT");
  const [code] = await exited;
  return code as number | null;
}

/**
 * Ids of a process and all its descendants, such as the children of the Pulumi engine, the awsx provider and the
 * workers.
 */
function processTree(pid: number): number[] {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid=,stat="], { encoding: "utf8" }).trim().split("\n");
  const processes = rows.map((row) => row.trim().split(/\s+/)).filter(([, , stat]) => !stat?.startsWith("Z"));
  const tree = new Set([pid]);
  for (const known of tree) {
    for (const [child, parent] of processes) if (Number(parent) === known) tree.add(Number(child));
  }
  return processes.map(([id]) => Number(id)).filter((id) => tree.has(id));
}

/** Returns the ids of the processes that are still running. */
function stillRunning(pids: number[]): number[] {
  return pids.filter((pid) => processTree(pid).includes(pid));
}

/** Listens on a port, unless another process already does. Returns a function that frees the port. */
async function occupy(port: number): Promise<() => Promise<void>> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.once("error", () => resolve());
    server.listen(port, "127.0.0.1", resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** Waits until `npm start` fails. Returns the error message, which must be one line on stderr. */
async function errorOf(child: ChildProcess): Promise<string> {
  let stderr = "";
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(1);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  return stderr;
}

/** Runs `npm run token`. Returns its only line on stdout, or on stderr when it fails. */
async function token(...args: string[]): Promise<{ code: number | null; line: string }> {
  const child = spawn(process.execPath, ["cli/run.cjs", "local/commands/token.ts", "--dir", dir, ...args]);
  let line = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      line += text;
    });
  const [code] = await once(child, "close");
  return { code: code as number | null, line: line.trim() };
}

async function vipPlan(outputs: Ready) {
  const vip = customers.find(({ label }) => label === "vip");
  if (!vip) throw new Error("There is no customer of the plan vip");
  const { getIdToken } = await signedIn(outputs, outputs.pageUrl, vip);
  return createApi({ apiUrl: outputs.apiUrl, getIdToken }).plan();
}

describe("npm start", () => {
  it("keeps the customers after a restart and leaves no process running after Ctrl-C", async () => {
    const first = npmStart("--free-ports", "--json");
    const outputs = await ready(first);
    const before = await vipPlan(outputs);
    expect(before).toMatchObject({ plan: "vip", updated_at: expect.any(String) });
    expect(await (await fetch(outputs.jwksUrl)).json()).toMatchObject({ keys: [{ use: "sig" }, { use: "sig" }] });
    // A second start must neither overwrite nor delete the state.
    for (const args of [["--free-ports"], ["--free-ports", "--reset"]]) {
      const other = await errorOf(npmStart(...args));
      expect(other).toMatch(
        / is in use by another npm start \(process \d+\)\. Stop that process, or run npm run start -- --free-ports --dir \S+-2( --reset)?( --no-python)?\.$/m,
      );
    }
    const running = processTree(Number(first.pid));
    expect(running.length).toBeGreaterThan(1);
    expect(await ctrlC(first)).toBe(0);
    expect(stillRunning(running)).toEqual([]);
    // SQLite removes the log of a file when the file is closed.
    expect(readdirSync(dir, { recursive: true }).filter((path) => String(path).endsWith("-wal"))).toEqual([]);

    const second = npmStart("--free-ports", "--json");
    // The usage names the current minute.
    expect(await vipPlan(await ready(second))).toEqual({ ...before, usage: expect.anything() });
    const runningAgain = processTree(Number(second.pid));
    expect(await ctrlC(second)).toBe(0);
    expect(stillRunning(runningAgain)).toEqual([]);
  });

  it("keeps its state after a change of images/, and runs the changed image under a new tag", async () => {
    const folder = mkdtempSync(join(tmpdir(), "snack-misaki-images-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const { path } = copyRepository(folder);
    const state = join(folder, "state");
    const images = async () => {
      const child = startIn(path, "--dir", state, "--free-ports", "--no-python", "--json");
      await ready(child);
      expect(await ctrlC(child)).toBe(0);
      const { templates } = openAccount(join(state, "runpod", "account.db")).data;
      return { tags: readAwsEndpoints(state).imageTags, used: Object.values(templates).map((one) => one.imageName) };
    };
    const first = await images();
    appendFileSync(join(path, "images/worker/src/snack_worker/handler.py"), "\n# changed\n");
    const changed = await images();
    expect(await images()).toEqual(changed);
    for (const model of models) {
      expect(changed.tags[`${model}.imageTag`]).toMatch(/^local-1-[0-9a-f]{8}$/);
      expect(changed.tags[`${model}.imageTag`]).not.toBe(first.tags[`${model}.imageTag`]);
    }
    expect(changed.used.filter((image) => first.used.includes(image))).toEqual([]);
  });

  it("starts one worker of the candidate and one of the released model when --config names a candidate", async () => {
    const paid = customers.find(({ label }) => label === "paid");
    if (!paid) throw new Error("There is no customer of the plan paid");
    const config = ["mistral.candidate.imageTag=local-2", `mistral.candidate.testers[0]=${paid.sub}`];
    const args = ["--free-ports", "--dir", join(dir, "candidate"), ...config.flatMap((one) => ["--config", one])];
    const child = npmStart(...args, "--json");
    const outputs = await ready(child);
    const versionFor = async (getIdToken: () => Promise<string | undefined>) => {
      const api = createApi({ apiUrl: outputs.apiUrl, getIdToken });
      for await (const item of chat(await api.session(), { text: "こんばんは" })) if ("done" in item) return item.model;
      return undefined;
    };
    const { getIdToken } = await signedIn(outputs, outputs.pageUrl, paid);
    expect(await versionFor(getIdToken)).toMatchObject({ name: "mistral", version: "local-2" });
    expect(await errorOf(npmStart(...args))).toContain(`--config ${config[0]} --config '${config[1]}'`);
    expect(await ctrlC(child)).toBe(0);
  });

  it("lets npm run token print an ID token for the README's first call, and clear errors", async () => {
    const child = npmStart("--free-ports", "--json");
    const { apiUrl } = await ready(child);
    const free = await token("free@example.com");
    const headers = { authorization: `Bearer ${free.line}` };
    const session = await fetch(`${apiUrl}/auth/session`, { method: "POST", headers });
    expect(await session.json()).toMatchObject({ plan: "free" });
    const json = JSON.parse((await token("vip@example.com", "--json")).line);
    expect(json).toMatchObject({ idToken: expect.any(String), apiUrl, expiresAt: expect.stringMatching(/Z$/) });
    expect(await token("nobody@example.com")).toEqual({
      code: 1,
      line: expect.stringContaining("not one of the local customers: free@example.com, paid@example.com"),
    });
    expect(await token("nobody@example.com", "--password", "x")).toEqual({
      code: 1,
      line: "nobody@example.com cannot sign in: Incorrect username or password.",
    });
    await ctrlC(child);
    const { code, line } = await token("free@example.com");
    expect([code, line]).toEqual([1, expect.stringMatching(/^No running local cloud has its state in .* npm start/)]);
  });

  it("prints the code of a sign-up, so that a new customer can open a session", async () => {
    const child = npmStart("--free-ports", "--json");
    const { apiUrl, signIn, jwksUrl } = await ready(child);
    const { origin: endpoint } = new URL(jwksUrl);
    const cognito = new CognitoIdentityProviderClient({ endpoint, region: "ap-northeast-1" });
    const user = { ClientId: signIn.clientId, Username: "mori@example.com" };
    const printed = once(createInterface(child.stderr), "line");
    await cognito.send(new SignUpCommand({ ...user, Password: "fourth-customer-4" }));
    const [, ConfirmationCode] = /to mori@example\.com: code (\d{6}) /.exec(String(await printed)) ?? [];
    await cognito.send(new ConfirmSignUpCommand({ ...user, ConfirmationCode }));
    const { line } = await token(user.Username, "--password", "fourth-customer-4");
    const headers = { authorization: `Bearer ${line}` };
    const session = await fetch(`${apiUrl}/auth/session`, { method: "POST", headers });
    expect(await session.json()).toMatchObject({ plan: "free" });
    await ctrlC(child);
  });

  it("rejects --engine together with --no-python", async () => {
    expect(await errorOf(npmStart("--engine", "scripted", "--no-python"))).toMatch(/exclude each other/);
  });

  it("fails early when a port is in use, and prints a command with all given options and free ports", async () => {
    const fresh = join(dir, "unused");
    const release = await occupy(4101);
    try {
      const error = await errorOf(npmStart("--dir", fresh, "--reset"));
      expect(error).toMatch(/Port \d+ \([\w' ]+\) is in use\. Stop the process that listens there, or run /);
      expect(error).toMatch(/ npm run start -- --free-ports --dir \S+unused --reset( --no-python)?$/m);
      expect(readdirSync(fresh).sort()).toEqual(["lock.db"]);
    } finally {
      await release();
    }
  });

  it("starts again in the folder of a failed start, and sends canned replies with --no-python", async () => {
    const fresh = join(dir, "fresh");
    const release = await occupy(4102);
    expect(await errorOf(npmStart("--dir", fresh))).toContain("is in use");
    await release();
    const child = npmStart("--dir", fresh, "--free-ports", "--no-python", "--json");
    const { apiUrl, worker } = await ready(child);
    expect(worker).toBe("canned");
    const session = await createApi({ apiUrl, getIdToken: async () => undefined }).guest();
    const items = await Array.fromAsync(chat(session, { text: "こんばんは" }));
    expect(items.at(-1)).toMatchObject({ done: true, text: expect.stringContaining("決まったお返事") });
    expect(await ctrlC(child)).toBe(0);
  });

  it("prints the next step when stack.json is missing", async () => {
    rmSync(join(dir, "stack.json"));
    expect(await errorOf(npmStart("--free-ports"))).toMatch(
      /stack\.json is missing, but .*: npm run start -- .*--reset/,
    );
  });
});

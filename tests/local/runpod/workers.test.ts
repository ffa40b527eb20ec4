import { spawn, spawnSync } from "node:child_process";
import { on, once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { needs } from "../../needs";
import { isRunning, RunpodFixture } from "./fixture";

let runpod: RunpodFixture;
beforeEach(() => {
  runpod = new RunpodFixture();
});
afterEach(() => runpod.dispose());

const submit = async (id: string, body: object = {}): Promise<string> =>
  (await runpod.json(`${id}/run`, { input: { text: "x" }, ...body })).id;
const workers = async (id: string) => (await runpod.json(`${id}/health`)).workers;

describe("A release", () => {
  it("starts one worker before the first job, with the variables of the template and of RunPod", async () => {
    await runpod.start();
    const { id } = await runpod.deploy();
    expect(runpod.workers).toHaveLength(1);
    const { env } = runpod.worker;
    expect(env).toMatchObject({ MODEL: "phi3", RUNPOD_ENDPOINT_ID: id, ENGINE_BASE_URL: "http://127.0.0.1:9/v1" });
    expect(JSON.parse(readFileSync(env.MODEL_VERSION_FILE ?? "", "utf8"))).toEqual({ version: "1.0.0" });
    for (const hook of ["GET_JOB", "POST_OUTPUT", "POST_STREAM"]) expect(env[`RUNPOD_WEBHOOK_${hook}`]).toContain("?");
  });

  it("gives workers the template's environment and ignores the endpoint's environment", async () => {
    // Source of this rule: a comment in the code of runpodctl.
    await runpod.start();
    await runpod.deploy({
      env: [
        { key: "MODEL", value: "mistral" },
        { key: "ONLY_HERE", value: "1" },
      ],
    });
    expect(runpod.worker.env.MODEL).toBe("phi3");
    expect(runpod.worker.env).not.toHaveProperty("ONLY_HERE");
  });

  it("starts no worker before the first job when startOnRelease is false", async () => {
    await runpod.start({ startOnRelease: false });
    const { id } = await runpod.deploy();
    expect(runpod.workers).toHaveLength(0);
    expect((await runpod.restJson(`GET /serverless/${id}/releases`)).rollout).toEqual({
      inProgress: false,
      workersOnLatest: 0,
      workersTotal: 0,
      percentOnLatest: 0,
    });
    const job = await submit(id);
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("replaces an idle worker at once and a busy worker after its current job", async () => {
    await runpod.start();
    const { id, templateId } = await runpod.deploy();
    const [old] = runpod.workers;
    const job = await submit(id);
    await old?.next();
    await runpod.saveTemplate({ id: templateId, imageName: "registry.example/phi3:2.0.0" });
    expect(runpod.workers).toHaveLength(2);
    expect(old?.stopRequested).toBe(false);
    expect(await old?.take()).toEqual([]);

    const next = await submit(id);
    expect((await runpod.worker.next()).id).toBe(next);
    await old?.done(job, { output: "finished" });
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "COMPLETED", output: "finished" });
    await vi.waitFor(() => expect(old?.stopRequested).toBe(true));
    expect(existsSync(old?.env.MODEL_VERSION_FILE ?? "")).toBe(false);

    await runpod.worker.done(next, { output: 1 });
    const [, idle] = runpod.workers;
    await runpod.saveTemplate({ id: templateId, imageName: "registry.example/phi3:3.0.0" });
    expect(idle?.stopRequested).toBe(true);
    expect(runpod.workers).toHaveLength(3);
  });

  it("keeps the workers when only scaling changes", async () => {
    await runpod.start();
    const { id, templateId } = await runpod.deploy();
    await runpod.saveEndpoint({ id, templateId, workersMax: 1, idleTimeout: 30 });
    expect(runpod.workers).toHaveLength(1);
    expect(runpod.worker.stopRequested).toBe(false);
  });

  it("leaves workers in the state initializing while the image cannot be pulled", async () => {
    const { switches, tick } = await runpod.start();
    switches.unpullable.push("registry.example/phi3:*");
    const { id } = await runpod.deploy();
    expect(await workers(id)).toMatchObject({ initializing: 1, unhealthy: 0 });
    expect(runpod.workers).toHaveLength(0);
    expect(runpod.events).toContainEqual(expect.stringContaining("failed to pull registry.example/phi3:1.0.0"));
    switches.unpullable.pop();
    tick();
    expect(runpod.workers).toHaveLength(1);
  });
});

describe("Scaling", () => {
  it("starts one worker for every scalerValue jobs when scalerType is REQUEST_COUNT", async () => {
    await runpod.start();
    const { id } = await runpod.deploy({ scalerType: "REQUEST_COUNT", scalerValue: 2, workersMax: 2 });
    await submit(id);
    await submit(id);
    expect(runpod.workers).toHaveLength(1);
    for (let job = 0; job < 4; job++) await submit(id);
    await vi.waitFor(() => expect(runpod.workers).toHaveLength(2));
  });

  it("starts another worker when scalerType is QUEUE_DELAY and a job waits longer than scalerValue", async () => {
    await runpod.start();
    const { id } = await runpod.deploy({ scalerValue: 1 });
    await submit(id);
    await runpod.worker.next();
    await submit(id);
    expect(runpod.workers).toHaveLength(1);
    await vi.waitFor(() => expect(runpod.workers).toHaveLength(2), 5_000);
  });

  it("stops an idle worker after idleTimeout and starts no new worker for a job with low priority", async () => {
    await runpod.start();
    const { id } = await runpod.deploy({ idleTimeout: 1 });
    await submit(id);
    const job = await runpod.worker.next();
    await runpod.worker.done(job.id, { output: 1 });
    await vi.waitFor(() => expect(runpod.worker.stopRequested).toBe(true), 5_000);
    expect(await workers(id)).toMatchObject({ idle: 0, initializing: 0 });
    await submit(id, { policy: { lowPriority: true } });
    expect(runpod.workers).toHaveLength(1);
    await submit(id);
    await vi.waitFor(() => expect(runpod.workers).toHaveLength(2));
  });

  it("keeps workersMin workers running and stops all workers when workersMax is 0", async () => {
    await runpod.start();
    const { id, templateId } = await runpod.deploy({ workersMin: 2 });
    expect(runpod.workers).toHaveLength(2);
    await runpod.saveEndpoint({ id, templateId, workersMax: 0 });
    expect(runpod.workers.map(({ stopRequested }) => stopRequested)).toEqual([true, true]);
  });
});

describe("A crash of a worker", () => {
  it("returns the job to the queue, not to the crashed worker's open request", async () => {
    await runpod.start();
    const { id } = await runpod.deploy();
    const { worker: crashed } = runpod;
    const job = await submit(id);
    await crashed.next();
    const open = new AbortController();
    const waiting = crashed.take(3, open.signal).catch(() => "cut off");
    await new Promise((resolve) => setTimeout(resolve, 50));
    crashed.crash("exit code 3");
    await vi.waitFor(async () => expect((await runpod.json(`${id}/status/${job}`)).status).toBe("IN_QUEUE"));
    // The crashed worker's open request must not take the job later.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await runpod.json(`${id}/status/${job}`)).status).toBe("IN_QUEUE");
    open.abort();
    expect(await waiting).toBe("cut off");
  });

  it("queues the job again the first time and fails the job the second time", async () => {
    await runpod.start();
    const { id } = await runpod.deploy();
    const job = await submit(id);
    await runpod.worker.next();
    runpod.worker.crash("out of memory");
    await vi.waitFor(async () => expect((await workers(id)).unhealthy).toBe(1));
    expect(runpod.events).toContainEqual(expect.stringContaining("crashed: out of memory"));
    expect(await runpod.json(`${id}/status/${job}`)).toEqual({ id: job, status: "IN_QUEUE" });

    await vi.waitFor(() => expect(runpod.workers).toHaveLength(2), 5_000);
    expect((await runpod.worker.next()).id).toBe(job);
    runpod.worker.crash("again");
    await vi.waitFor(async () =>
      expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "FAILED", retries: 1 }),
    );
  });

  it("is logged when the interpreter does not exist", async () => {
    await runpod.start({ python: "/nonexistent/python" });
    await runpod.deploy();
    await vi.waitFor(() => expect(runpod.events).toContainEqual(expect.stringMatching(/crashed: .*ENOENT/)));
  });
});

describe("A worker process", () => {
  const needsAnyPython = needs(spawnSync("python3", ["--version"]).status === 0 ? undefined : "no python3 found");

  /** Starts run_worker.py with fake modules instead of the SDK and the worker. */
  function start(sdk: string, worker: string) {
    const packages = { "runpod/serverless": sdk, "snack_worker/handler": "", "snack_worker/__main__": worker };
    for (const [module, source] of Object.entries(packages)) {
      const file = join(runpod.dir, `${module}.py`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, source);
    }
    const child = spawn("python3", [join(__dirname, "../../../local/runpod/workers/run_worker.py")], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, PYTHONPATH: runpod.dir, PYTHONUNBUFFERED: "1" },
      detached: true,
    });
    const lines = on(createInterface(child.stdout), "line");
    return { child, exited: once(child, "exit"), line: async () => String((await lines.next()).value) };
  }

  it("ends together with its child processes when its parent process ends", needsAnyPython, async () => {
    const worker = `
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
print(os.environ["MODEL"], child.pid)
child.wait()`;
    const { child, exited, line } = start("", worker);
    child.stdin.write('{"MODEL": "phi3"}\n');
    const [model, pid] = (await line()).split(" ");
    expect(model).toBe("phi3");
    child.stdin.end();
    expect(await exited).toEqual([null, "SIGKILL"]);
    await vi.waitFor(() => expect(isRunning(Number(pid))).toBe(false), 5_000);
  });

  it("ends when its parent process ends during the import of the SDK", needsAnyPython, async () => {
    const { child, exited, line } = start('import time\nprint("importing")\ntime.sleep(1000)', "");
    expect(await line()).toBe("importing");
    child.stdin.end();
    expect(await exited).toEqual([null, "SIGKILL"]);
  });
});

describe("close()", () => {
  it("stops every worker", async () => {
    await runpod.start();
    const { id } = await runpod.deploy({ workersMin: 2 });
    await submit(id);
    await runpod.worker.next();
    await runpod.close();
    expect(runpod.workers.map(({ stopRequested }) => stopRequested)).toEqual([true, true]);
  });
});

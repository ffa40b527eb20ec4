import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RunningWorker } from "../../../local/runpod/workers/worker";
import { needsPython, workerPython } from "../../workerPython";
import { RunpodFixture } from "./fixture";

// These tests run RunPod's unmodified worker SDK (runpod-python 1.12) with the handlers of sdkWorker.py.

describe("A worker with RunPod's SDK", { ...needsPython, timeout: 60_000 }, () => {
  let runpod: RunpodFixture;
  let id: string;
  /** Number of started workers. */
  let started: number;
  beforeEach(() => {
    runpod = new RunpodFixture();
    started = 0;
  });
  afterEach(() => runpod.dispose());

  function startWorker(env: Record<string, string>): RunningWorker {
    started += 1;
    const child = spawn(workerPython, [join(__dirname, "sdkWorker.py")], {
      // The SDK would use the key in ~/.runpod/config.toml instead of the worker's key. Therefore the worker process
      // gets another `HOME`.
      env: { PATH: process.env.PATH, ...env, HOME: runpod.dir, RUNPOD_PING_INTERVAL: "1000" },
      stdio: "ignore",
      detached: true,
    });
    const exited = once(child, "exit").then(([code]) => {
      try {
        process.kill(-(child.pid ?? 0), "SIGKILL");
      } catch {
        // process.kill throws when the SDK's ping process has also ended.
      }
      return `exit code ${code}`;
    });
    const stop = async () => {
      child.kill("SIGKILL");
      await exited;
    };
    return { exited, stop };
  }

  /** Starts the double with one endpoint. The endpoint's workers run sdkWorker.py in the given mode. */
  async function start(mode: "plain" | "stream" | "aggregate" | "unfit"): Promise<void> {
    await runpod.start({ startWorker });
    ({ id } = await runpod.deploy({ workersMax: 1 }, { env: [{ key: "MODE", value: mode }] }));
  }

  const run = async (input: object): Promise<string> => (await runpod.json(`${id}/run`, { input })).id;
  const status = (job: string) => runpod.json(`${id}/status/${job}`);
  const result = (input: object) => runpod.json(`${id}/runsync?wait=20000`, { input });
  const inProgress = async () => (await runpod.json(`${id}/health`)).jobs.inProgress;

  it("returns results and errors but drops an empty result", async () => {
    await start("plain");
    const value = { text: "いらっしゃい" };
    expect(await result({ do: "echo", value })).toMatchObject({ status: "COMPLETED", output: value });
    // The SDK drops an empty result.
    const empty = await result({ do: "echo", value: {} });
    expect(empty.status).toBe("COMPLETED");
    expect(empty).not.toHaveProperty("output");
    expect(await result({ do: "echo", value: { error: "refused" } })).toMatchObject({
      status: "FAILED",
      error: "refused",
    });
    const raised = await result({ do: "raise" });
    expect(raised.status).toBe("FAILED");
    expect(JSON.parse(raised.error)).toMatchObject({
      error_type: "<class 'ValueError'>",
      error_message: "boom",
      worker_id: raised.workerId,
      runpod_version: expect.stringMatching(/^1\.12\./),
    });
  });

  it("runs several jobs at once and stops only the cancelled job", async () => {
    await start("plain");
    const note = join(runpod.dir, "note");
    const jobs = [
      await run({ do: "wait", seconds: 30, note }),
      await run({ do: "wait", seconds: 30, note: `${note}2` }),
    ];
    await vi.waitFor(async () => expect(await inProgress()).toBe(2), 10_000);
    // RunPod loses a job when no ping contains the job's id for this time. The SDK pings every second with the ids of
    // the running jobs.
    runpod.double.skip(31_000);
    await result({ do: "wait", seconds: 2.5, note });
    expect((await runpod.json(`${id}/health`)).jobs).toMatchObject({ inProgress: 2, retried: 0 });
    await runpod.json(`${id}/cancel/${jobs[0]}`, {});
    await vi.waitFor(() => expect(existsSync(note)).toBe(true), 10_000);
    expect(existsSync(`${note}2`)).toBe(false);
    expect(await status(jobs[0] ?? "")).toMatchObject({ status: "CANCELLED" });
    expect(await status(jobs[1] ?? "")).toMatchObject({ status: "IN_PROGRESS" });
  });

  it("sends a result again after an error response and after a broken connection", async () => {
    await start("plain");
    const job = await run({ do: "progress", seconds: 1 });
    await vi.waitFor(async () => expect(await status(job)).toMatchObject({ output: "half" }), {
      timeout: 10_000,
      interval: 20,
    });
    const { faults } = runpod.double.switches;
    faults.push({ on: "POST /v2/*/job-done/*", answer: 500, done: false, times: 1, skip: 0, delayMs: 0 });
    faults.push({ on: "POST /v2/*/job-done/*", answer: "cut", done: true, times: 1, skip: 0, delayMs: 0 });
    await vi.waitFor(
      async () => expect(await status(job)).toMatchObject({ status: "COMPLETED", output: "whole" }),
      10_000,
    );
    await vi.waitFor(() => expect(faults).toEqual([]), 10_000);
    expect(await status(job)).toMatchObject({ status: "COMPLETED", output: "whole" });
  });

  it("is replaced by a new worker after a result with refresh_worker", async () => {
    await start("plain");
    const first = await result({ do: "echo", value: { refresh_worker: true, text: "bye" } });
    expect(first).toMatchObject({ status: "COMPLETED", output: { text: "bye" } });
    const second = await result({ do: "echo", value: "hello" });
    expect(second).toMatchObject({ status: "COMPLETED", output: "hello" });
    expect(second.workerId).not.toBe(first.workerId);
  });

  it("is restarted after a crash, and the job fails after the second crash", async () => {
    await start("plain");
    const job = await run({ do: "die" });
    await vi.waitFor(() => expect(started).toBe(2), 10_000);
    await vi.waitFor(async () => expect(await status(job)).toMatchObject({ status: "FAILED", retries: 1 }), 20_000);
    expect(runpod.events).toContainEqual(expect.stringContaining("crashed: exit code 3"));
  });

  it.each([
    ["stream", []],
    ["aggregate", ["a", { b: 1 }]],
  ] as const)("streams a generator's items in mode %s and ends with the output %j", async (mode, output) => {
    await start(mode);
    const job = await run({ items: ["a", { b: 1 }] });
    const items: unknown[] = [];
    for (let state = "IN_QUEUE"; state !== "COMPLETED"; ) {
      const part = await runpod.json(`${id}/stream/${job}`);
      items.push(...part.stream);
      state = part.status;
    }
    expect(items).toEqual([{ output: "a" }, { output: { b: 1 } }]);
    expect(await status(job)).toMatchObject({ status: "COMPLETED", output });
    const failed = await result({ items: ["a", { error: "refused" }, "never"] });
    expect(failed).toMatchObject({ status: "FAILED", error: "refused" });
  });

  it("exits and is shown as unhealthy after a failed fitness check", async () => {
    await start("unfit");
    await vi.waitFor(
      async () => expect((await runpod.json(`${id}/health`)).workers).toMatchObject({ unhealthy: 1, initializing: 0 }),
      10_000,
    );
    expect(runpod.events).toContainEqual(expect.stringContaining("failed its check: refuse"));
    expect(runpod.events).toContainEqual(expect.stringContaining("crashed: exit code 1"));
  });
});

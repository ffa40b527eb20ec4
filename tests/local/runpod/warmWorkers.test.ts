import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startScriptedEngine } from "../../../local/llm/scriptedEngine";
import { Events } from "../../../local/support/events";
import type { Listening } from "../../../local/support/http";
import { needsPython, workerPython } from "../../workerPython";
import { isRunning, RunpodFixture } from "./fixture";

describe("Warm workers", { ...needsPython, timeout: 60_000 }, () => {
  let runpod: RunpodFixture;
  let engine: Listening;
  beforeEach(async () => {
    runpod = new RunpodFixture();
    engine = await startScriptedEngine({ port: 0, events: new Events() });
  });
  afterEach(async () => {
    await runpod.dispose();
    await engine.close();
  });

  const pidsFile = () => join(runpod.dir, "pids");
  /** Process ids of all workers so far. */
  const pids = () => (existsSync(pidsFile()) ? readFileSync(pidsFile(), "utf8").trim().split("\n").map(Number) : []);

  /**
   * Starts the double. Each worker writes its process id to a file and runs the shell command `firstCommand` before
   * Python.
   */
  async function start(warmWorkers: number, firstCommand = ""): Promise<void> {
    const interpreter = join(runpod.dir, "python");
    const script = `#!/bin/sh\necho $$ >> "${pidsFile()}"\n${firstCommand}\nexec "${workerPython}" "$@"\n`;
    writeFileSync(interpreter, script, { mode: 0o755 });
    await runpod.start({ python: interpreter, warmWorkers, engineUrl: `${engine.url}/v1` });
  }

  /** Creates an endpoint for the Python worker. */
  async function deploy(name: string): Promise<string> {
    const { publicKey } = generateKeyPairSync("ed25519");
    const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "EdDSA" }] };
    const env = Object.entries({
      MODEL: "phi3",
      TICKET_ISSUER: "snack-misaki/test",
      TICKET_JWKS: JSON.stringify(jwks),
    });
    const template = { name: `${name}-template`, env: env.map(([key, value]) => ({ key, value })) };
    return (await runpod.deploy({ name, workersMax: 1 }, template)).id;
  }

  /** Error code of the worker for a request without a ticket. */
  const refusal = async (id: string): Promise<string> =>
    JSON.parse((await runpod.json(`${id}/runsync`, { input: { text: "x" } })).error).error.code;

  it("serve the first new endpoints until no warm worker is left", async () => {
    await start(2);
    await vi.waitFor(() => expect(pids()).toHaveLength(2), 5_000);
    const ids = [await deploy("first"), await deploy("second")];
    for (const id of ids) expect(await refusal(id)).toBe("ticket_missing");
    expect(pids()).toHaveLength(2);
    expect(await refusal(await deploy("third"))).toBe("ticket_missing");
    expect(pids()).toHaveLength(3);
  });

  it("are replaced when they end before an endpoint is created", async () => {
    await start(1, `[ $(wc -l < "${pidsFile()}") -gt 1 ] || exit 3`);
    await vi.waitFor(() => expect(pids()).toHaveLength(1), 5_000);
    await vi.waitFor(() => expect(isRunning(pids()[0] ?? 0)).toBe(false), 5_000);
    expect(await refusal(await deploy("first"))).toBe("ticket_missing");
    expect(runpod.events.filter((line) => line.includes("crashed"))).toEqual([]);
    expect(pids()).toHaveLength(2);
  });

  it("are not started for an account that already has endpoints", async () => {
    await start(0);
    const id = await deploy("first");
    expect(await refusal(id)).toBe("ticket_missing");
    await runpod.close();
    await start(2);
    expect(await refusal(id)).toBe("ticket_missing");
    expect(pids()).toHaveLength(2);
  });

  it("end when the double closes, even if no endpoint uses them", async () => {
    await start(2);
    await vi.waitFor(() => expect(pids()).toHaveLength(2), 5_000);
    expect(await refusal(await deploy("first"))).toBe("ticket_missing");
    expect(pids().map(isRunning)).toEqual([true, true]);
    await runpod.close();
    expect(pids().map(isRunning)).toEqual([false, false]);
  });
});

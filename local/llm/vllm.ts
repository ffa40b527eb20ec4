import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair } from "jose";
import * as z from "zod";
import { root } from "../../cli/root";
import { type Model, models } from "../../contract/plan";
import { buildArgs } from "../../images/models";
import type { Listening } from "../support/http";
import { freePort } from "../support/ports";
import { findVenvPython, setupPython } from "../support/pythonEnvironment";
import { startForwarder } from "./forwarder";
import { LastLines } from "./lastLines";
import { setupVllm, type VllmEnvironment, VllmUnavailable } from "./vllmEnvironment";

const START_TIMEOUT_MS = 600_000;

/**
 * Shell script that runs a program. It kills the program's process group when standard input closes, which happens when
 * this process ends.
 */
const WITH_PARENT = 'exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & "$@" </dev/null 3<&-';

/** A running vLLM for every model. */
export interface Vllm {
  /** Origin of a server that forwards each request to the vLLM of the requested model. */
  url: string;
  /** Describes the state of the engines, for the error of a failed chat. */
  describe(): string;
  /** Kills every process. */
  close(): Promise<void>;
}

/**
 * Starts a real vLLM on the CPU for every model, with the command line of the worker's image and a tiny model with
 * random weights. The command line omits only the quantization, because vLLM has no FP8 for the CPU.
 *
 * @param progress called with a line at the start of each step
 * @throws VllmUnavailable when this machine cannot install vLLM
 * @throws Error with vLLM's newest lines when vLLM does not start
 */
export async function startVllm(progress: (line: string) => void): Promise<Vllm> {
  const { detail } = await setupPython(progress);
  const workerPython = findVenvPython();
  if (!workerPython) throw new VllmUnavailable(`the worker's Python environment is missing: ${detail}`);
  const environment = await setupVllm(workerPython, progress);
  const engines: Engine[] = [];
  const close = async () => {
    await Promise.all(engines.map((engine) => engine.close()));
  };
  try {
    for (const model of models) engines.push(await Engine.spawn(model, environment, workerPython));
    progress("starting vLLM (up to some minutes)");
    await Promise.all(engines.map((engine) => engine.ready()));
    const router = await startRouter(engines);
    return {
      url: router.url,
      describe: () => engines.map((engine) => engine.describe()).join("\n"),
      close: async () => {
        await router.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The vLLM of one model. */
class Engine {
  private readonly lastLines = new LastLines();

  private constructor(
    readonly model: Model,
    readonly port: number,
    readonly apiKey: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr]) if (stream) this.lastLines.read(stream);
  }

  static async spawn(model: Model, { python, modelCache }: VllmEnvironment, workerPython: string): Promise<Engine> {
    const port = await freePort();
    const apiKey = randomUUID();
    const [, ...args] = await workersCommand(model, { port, modelCache, workerPython });
    const vllm = [python, "-m", "vllm.entrypoints.cli.main", ...args];
    const child = spawn("sh", ["-c", WITH_PARENT, "sh", ...vllm], {
      cwd: root,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        PYTHONUTF8: "1",
        HF_HUB_OFFLINE: "1",
        TRANSFORMERS_OFFLINE: "1",
        VLLM_NO_USAGE_STATS: "1",
        VLLM_API_KEY: apiKey,
        VLLM_CACHE_ROOT: join(root, ".build", "vllm-cache"),
        // Gigabytes of memory for the KV cache.
        VLLM_CPU_KVCACHE_SPACE: "1",
      },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    return new Engine(model, port, apiKey, child);
  }

  /** Waits until vLLM is healthy. */
  async ready(): Promise<void> {
    const until = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < until && !this.hasExited()) {
      const isHealthy = await fetch(`http://127.0.0.1:${this.port}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isHealthy) return;
      await sleep(500);
    }
    const problem = this.hasExited() ? "ended" : `was not ready within ${START_TIMEOUT_MS / 1000} s`;
    // Shows many lines, because the reason comes before the long tracebacks of several processes.
    throw new Error(`vLLM with ${this.model} ${problem}. ${this.lastLines.toString(250)}`);
  }

  private hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  describe(): string {
    return `vLLM with ${this.model}: ${this.lastLines}`;
  }

  async close(): Promise<void> {
    const exited = this.hasExited() ? undefined : once(this.child, "exit");
    this.child.stdin?.end();
    await exited;
  }
}

/** Returns the command line that the worker uses in its image, for weights in the model cache. */
async function workersCommand(
  model: Model,
  { port, modelCache, workerPython }: { port: number; modelCache: string; workerPython: string },
): Promise<string[]> {
  const { publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const script =
    "import json, os; from snack_worker.engine_process import engine_command; " +
    "from snack_worker.settings import read_settings; settings = read_settings(os.environ); " +
    "print(json.dumps(engine_command(settings, settings.own_engine)))";
  const env = {
    ...buildArgs(model, "vllm-cpu", "cached"),
    QUANTIZATION: "",
    PATH: process.env.PATH,
    PYTHONPATH: join(root, "images/worker/src"),
    MODEL_CACHE: modelCache,
    MODEL_VERSION_FILE: join(modelCache, "version.json"),
    ENGINE_PORT: String(port),
    CHAT_TEMPLATE_FILE: join(root, "images", model, "chat_template.jinja"),
    // The worker's settings require these variables. The command line does not contain them.
    TICKET_ISSUER: "vllm-cpu",
    TICKET_JWKS: JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "vllm-cpu" }] }),
  };
  return z.array(z.string()).parse(JSON.parse(execFileSync(workerPython, ["-c", script], { env, encoding: "utf8" })));
}

/** Starts a server that forwards each request to the vLLM of the `model` in the request's body or query. */
function startRouter(engines: Engine[]): Promise<Listening> {
  return startForwarder("vLLM", (request, body) => {
    const model =
      body.length > 0
        ? JSON.parse(body.toString()).model
        : new URL(request.url ?? "", "http://router").searchParams.get("model");
    // A request without a model, such as /health, goes to the first vLLM.
    const engine = engines.find((each) => each.model === model) ?? engines[0];
    if (!engine) throw new Error("There is no vLLM.");
    return engine;
  });
}

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Events } from "../support/events";
import { type Listening, serve } from "../support/http";
import { RunpodAccount } from "./account/account";
import { Clock } from "./account/clock";
import type { RegistryImage } from "./account/pull";
import { createSwitches, type Switches } from "./account/switches";
import { adminApi } from "./admin";
import { withFaults } from "./faults";
import { graphqlApi } from "./graphql/graphql";
import { Endpoints } from "./jobApi/endpoints";
import { jobApi } from "./jobApi/jobApi";
import { workerApi } from "./jobApi/workerApi";
import type { RunpodKey } from "./keys";
import { restApi } from "./rest/api";
import type { RestQuota } from "./rest/rateLimit";
import { startCannedWorker } from "./workers/cannedWorker";
import { type StartWorker, workerLauncher } from "./workers/launcher";
import { preparePythonWorker } from "./workers/pythonWorker";
import { WarmWorkers } from "./workers/warmWorkers";
import { platformEnvironment, type WorkerIdentity } from "./workers/workerEnvironment";
import type { RunningWorker, WorkerSignals } from "./workers/workers";

/** What the RunPod double needs to know. */
export interface RunpodOptions {
  /** 0 takes a free one. */
  port: number;
  /** Folder for the account's file, the workers' logs and version files. */
  dir: string;
  keys: RunpodKey[];
  /** OpenAI-compatible base URL the workers call, with `/v1`. */
  engineUrl: string;
  /** Interpreter with the worker's dependencies. Undefined: every job gets the canned reply. */
  python: string | undefined;
  /** Says what the registry has under a name, or undefined when there is no such image. */
  resolveImage(imageName: string): RegistryImage | undefined;
  events: Events;
  /** How many Python workers to get ready for the first endpoints of an empty account. Default 0. */
  warmWorkers?: number;
  /** Sum of `workersMax` the account may have. Default 5, like a new RunPod account. */
  workersQuota?: number;
  /** How long a template counts as in use after its last endpoint is gone. Default 0; RunPod takes up to two minutes. */
  templateHoldMs?: number;
  /** Requests of REST v2 a key may make. Default ten times what RunPod's document shows, so that tests need not wait. */
  restQuota?: RestQuota;
  /**
   * Whether a release starts one worker before there is a job. Default true: who has just deployed wants to see it work,
   * and a rollout has something to wait for. RunPod documents `workersMin` workers only (REST v2, createEndpoint).
   */
  startsAtOnce?: boolean;
  /** Between two tries of a job's webhook. Default 10 s, as at RunPod. */
  webhookPauseMs?: number;
  /** False withholds the job API's CORS headers: RunPod documents nothing about them. Default true. */
  cors?: boolean;
  /** Starts a worker with this environment in place of the two kinds there are; `idleWorker` is one that does nothing. */
  startWorker?: ((env: Record<string, string>, signals: WorkerSignals) => RunningWorker) | undefined;
}

/** A running RunPod double. */
export interface RunpodDouble extends Listening {
  account: RunpodAccount;
  /** What goes wrong. Change it at any time. */
  switches: Switches;
  /** Lets time pass at once: results are forgotten, idle endpoints shrink, registry tokens die. */
  skip(ms: number): void;
  /** Lets every endpoint look at the account, the clock and the switches now, not within half a second. */
  tick(): void;
  /** Stands for `https://api.runpod.io/graphql`. */
  graphqlUrl: string;
  /** Stands for `https://api.runpod.io/v2`, REST v2. It is on the same port as the job API. */
  restUrl: string;
  /** Stands for `https://api.runpod.ai/v2`. */
  jobApiUrl: string;
  /** Worker that answers jobs: the Python worker, or the canned one without Python. */
  workerKind: "python" | "canned";
}

/**
 * Starts RunPod on one port: both control planes (GraphQL and REST v2), the job API, and the protocol of the workers it
 * runs. `/admin` beside them is ours: it works the switches.
 *
 * @throws PortInUseError
 */
export async function startRunpod(options: RunpodOptions): Promise<RunpodDouble> {
  const { dir, keys, events, python, engineUrl } = options;
  const warm = new WarmWorkers();
  const clock = new Clock();
  const switches = createSwitches();
  const account = new RunpodAccount(join(dir, "account.json"), {
    workersQuota: options.workersQuota ?? 5,
    templateHoldMs: options.templateHoldMs ?? 0,
    clock,
    imageExists: (imageName) => options.resolveImage(imageName) !== undefined,
    claimEndpoint: () => warm.claim(),
  });
  const workersDir = join(dir, "workers");
  rmSync(workersDir, { recursive: true, force: true });
  mkdirSync(workersDir, { recursive: true });

  const app = new Hono();
  const listening = await serve("RunPod", options.port, (request) =>
    withFaults(switches, events, request, (one) => app.fetch(one)),
  );
  const jobApiUrl = `http://127.0.0.1:${listening.port}/v2`;
  const prepare = python
    ? (identity: WorkerIdentity) =>
        preparePythonWorker({ python, dir: workersDir }, identity.workerId, platformEnvironment(identity, jobApiUrl))
    : undefined;
  const start: StartWorker =
    options.startWorker ??
    (prepare ? (env, _signals, identity, waiting = prepare(identity)) => waiting.begin(env) : startCannedWorker);
  const endpoints = new Endpoints({
    account,
    launch: workerLauncher({ dir: workersDir, jobApiUrl, engineUrl }, warm, start),
    resolveImage: options.resolveImage,
    switches,
    clock,
    startsAtOnce: options.startsAtOnce ?? true,
    webhookPauseMs: options.webhookPauseMs ?? 10_000,
    events,
  });
  const close = async () => {
    await Promise.all([endpoints.close(), warm.close()]);
    await listening.close();
  };

  const skip = (ms: number) => {
    clock.skippedMs += ms;
    account.sweep();
    endpoints.reconcile();
    endpoints.tick();
  };
  const tick = () => endpoints.tick();

  const find = (id: string) => endpoints.find(id);
  app.route("/admin", adminApi({ account, keys, switches, skip, tick }));
  app.route(
    "/graphql",
    graphqlApi({
      account,
      keys,
      events,
      switches,
      workerIds: (id) =>
        find(id)
          ?.fleet.list()
          .map((worker) => worker.id) ?? [],
      changed: () => endpoints.reconcile(),
    }),
  );
  // Before the job API, which would take its words for endpoints' ids.
  app.route(
    "/v2",
    restApi({
      account,
      keys,
      switches,
      events,
      jobApiUrl: `${listening.url}/v2`,
      fleet: (id) => find(id)?.fleet,
      changed: () => endpoints.reconcile(),
      quota: options.restQuota ?? { minute: 600, hour: 30_000, day: 500_000 },
      now: clock.now,
    }),
  );
  if (options.cors ?? true) app.use("/v2/*", cors({ origin: "*", maxAge: 600 }));
  // Before the job API: its key check would turn workers away.
  app.route("/v2", workerApi({ find }));
  app.route("/v2", jobApi({ keys, find, now: clock.now }));

  try {
    if (prepare && account.endpoints.length === 0)
      for (let count = options.warmWorkers ?? 0; count > 0; count--) warm.add(prepare);
    endpoints.reconcile();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    ...listening,
    account,
    switches,
    skip,
    tick,
    restUrl: `${listening.url}/v2`,
    graphqlUrl: `${listening.url}/graphql`,
    jobApiUrl: `${listening.url}/v2`,
    workerKind: python ? "python" : "canned",
    close,
  };
}

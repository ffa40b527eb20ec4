import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Events } from "../events";
import { type Listening, serve } from "../http";
import { RunpodAccount } from "./account";
import { Endpoints } from "./endpoints";
import { graphqlApi } from "./graphql";
import { startInProcessWorker } from "./inProcessWorker";
import { jobApi } from "./jobApi";
import type { RunpodKey } from "./keys";
import { type StartWorker, workerLauncher } from "./launcher";
import { preparePythonWorker } from "./pythonWorker";
import { WarmWorkers } from "./warmWorkers";
import { workerApi } from "./workerApi";
import { platformEnvironment, type WorkerIdentity } from "./workerEnvironment";
import type { RunningWorker } from "./workers";

/** What the RunPod double needs to know. */
export interface RunpodOptions {
  /** 0 takes a free one. */
  port: number;
  /** Folder for the account's file, the workers' logs and version files. */
  dir: string;
  keys: RunpodKey[];
  /** OpenAI-compatible base URL the workers call, with `/v1`. */
  engineUrl: string;
  /** Interpreter that has the worker's dependencies; undefined answers in this process instead. */
  python: string | undefined;
  /** Says which version an image holds, or undefined when there is no such image. */
  resolveImage(imageName: string): { version: string } | undefined;
  events: Events;
  /** How many Python workers to get ready for the first endpoints of an empty account. Default 0. */
  warmWorkers?: number;
  /** Sum of `workersMax` the account may have. Default 5, like a new RunPod account. */
  workersQuota?: number;
  /** How long a template counts as in use after its last endpoint is gone. Default 0; RunPod takes up to two minutes. */
  templateHoldMs?: number;
  /** False withholds CORS headers: RunPod documents nothing about them. Default true. */
  cors?: boolean;
  /** Starts a worker with this environment in place of the two kinds there are. */
  startWorker?: (env: Record<string, string>) => RunningWorker;
}

/** A running RunPod double. */
export interface RunpodDouble extends Listening {
  /** Stands for `https://api.runpod.io/graphql`. */
  graphqlUrl: string;
  /** Stands for `https://api.runpod.ai/v2`. */
  jobApiUrl: string;
  /** What answers jobs: the real Python worker, or its stand-in in this process. */
  workerKind: "python" | "in-process";
}

/**
 * Starts RunPod on one port: the GraphQL control plane, the job API, and the protocol of the workers it runs.
 *
 * @throws PortInUseError
 */
export async function startRunpod(options: RunpodOptions): Promise<RunpodDouble> {
  const { dir, keys, events, python, engineUrl } = options;
  const warm = new WarmWorkers();
  const account = new RunpodAccount(join(dir, "account.json"), {
    workersQuota: options.workersQuota ?? 5,
    templateHoldMs: options.templateHoldMs ?? 0,
    claimEndpoint: () => warm.claim(),
  });
  const workersDir = join(dir, "workers");
  rmSync(workersDir, { recursive: true, force: true });
  mkdirSync(workersDir, { recursive: true });

  const app = new Hono();
  const listening = await serve("RunPod", options.port, (request) => app.fetch(request));
  const jobApiUrl = `http://127.0.0.1:${listening.port}/v2`;
  const prepare = python
    ? (identity: WorkerIdentity) =>
        preparePythonWorker({ python, dir: workersDir }, identity.workerId, platformEnvironment(identity, jobApiUrl))
    : undefined;
  const start: StartWorker =
    options.startWorker ??
    (prepare ? (env, identity, waiting = prepare(identity)) => waiting.begin(env) : startInProcessWorker);
  const endpoints = new Endpoints({
    account,
    launch: workerLauncher({ dir: workersDir, jobApiUrl, engineUrl }, warm, start),
    resolveImage: options.resolveImage,
    events,
  });
  const close = async () => {
    await Promise.all([endpoints.close(), warm.close()]);
    await listening.close();
  };

  const find = (id: string) => endpoints.find(id);
  if (options.cors ?? true) app.use("/v2/*", cors({ origin: "*", maxAge: 600 }));
  app.route(
    "/graphql",
    graphqlApi({
      account,
      keys,
      events,
      workerIds: (id) => find(id)?.fleet.ids() ?? [],
      changed: () => endpoints.reconcile(),
    }),
  );
  // Before the job API: its key check would turn workers away.
  app.route("/v2", workerApi({ find }));
  app.route("/v2", jobApi({ keys, find }));

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
    graphqlUrl: `${listening.url}/graphql`,
    jobApiUrl: `${listening.url}/v2`,
    workerKind: python ? "python" : "in-process",
    close,
  };
}

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
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
import { startPythonWorker } from "./pythonWorker";
import { workerApi } from "./workerApi";
import { workerEnvironment } from "./workerEnvironment";
import type { RunningWorker, WorkerSpec } from "./workers";

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
  const account = new RunpodAccount(join(dir, "account.json"), {
    workersQuota: options.workersQuota ?? 5,
    templateHoldMs: options.templateHoldMs ?? 0,
  });
  const workersDir = join(dir, "workers");
  rmSync(workersDir, { recursive: true, force: true });
  mkdirSync(workersDir, { recursive: true });

  let jobApiUrlForWorkers = "";
  const launch = (spec: WorkerSpec): RunningWorker => {
    const versionFile = join(workersDir, `${spec.workerId}.version.json`);
    writeFileSync(versionFile, JSON.stringify({ version: spec.version }));
    const env = workerEnvironment(spec, { jobApiUrl: jobApiUrlForWorkers, engineUrl, versionFile });
    const worker = options.startWorker
      ? options.startWorker(env)
      : python
        ? startPythonWorker({ python, dir: workersDir }, `${spec.endpoint.name}-${spec.workerId}`, env)
        : startInProcessWorker(env);
    void worker.exited.then(() => rmSync(versionFile, { force: true }));
    return worker;
  };

  const endpoints = new Endpoints({ account, launch, resolveImage: options.resolveImage, events });
  const find = (id: string) => endpoints.find(id);
  const app = new Hono();
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

  const listening = await serve("RunPod", options.port, app.fetch).catch(async (error) => {
    await endpoints.close();
    throw error;
  });
  jobApiUrlForWorkers = `http://127.0.0.1:${listening.port}/v2`;
  endpoints.reconcile();

  return {
    ...listening,
    graphqlUrl: `${listening.url}/graphql`,
    jobApiUrl: `${listening.url}/v2`,
    workerKind: python ? "python" : "in-process",
    close: async () => {
      await endpoints.close();
      await listening.close();
    },
  };
}

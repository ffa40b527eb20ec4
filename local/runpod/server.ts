import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Events } from "../support/events";
import { type Listening, serve } from "../support/http";
import { RunpodAccount } from "./account/account";
import { Clock } from "./account/clock";
import type { RegistryImage } from "./account/imagePull";
import { createSwitches, type Switches } from "./account/switches";
import { adminApi } from "./adminApi";
import type { RunpodKey } from "./apiKeys";
import { serveWithFaults } from "./faults";
import { graphqlApi } from "./graphql/graphqlApi";
import { type EndpointOverview, Endpoints } from "./jobApi/endpoints";
import { jobApi } from "./jobApi/jobApi";
import { workerApi } from "./jobApi/workerApi";
import { Pods } from "./pods/pods";
import type { Container } from "./pods/trainingContainer";
import type { RestQuota } from "./rest/rateLimit";
import { isRestPath, restApi } from "./rest/restApi";
import { startCannedWorker } from "./workers/cannedWorker";
import { type StartWorker, workerLauncher } from "./workers/launcher";
import { preparePythonWorker } from "./workers/pythonWorker";
import { WarmWorkers } from "./workers/warmWorkers";
import type { RunningWorker, WorkerSignals } from "./workers/worker";
import { platformEnvironment, type WorkerIdentity } from "./workers/workerEnvironment";

/** Options of the RunPod double. */
export interface RunpodOptions {
  /** 0: a free port. */
  port: number;
  /** Whether the account is kept in memory only. Default false. */
  isInMemory?: boolean;
  /** Folder for the account's file and the workers' logs and version files. */
  dir: string;
  keys: RunpodKey[];
  /** OpenAI-compatible base URL of the LLM engine that workers call, with `/v1`. */
  engineUrl: string;
  /** Python interpreter with the worker's dependencies. Undefined: every job gets the same canned reply. */
  python: string | undefined;
  /** Returns an image of the registry, or undefined when the registry does not have it. */
  resolveImage(imageName: string): RegistryImage | undefined;
  events: Events;
  /** Number of Python workers to start in advance, for the first endpoints of an empty account. Default 0. */
  warmWorkers?: number;
  /** Maximum of the sum of `workersMax`. Default 5, as in a new account at RunPod. */
  workersQuota?: number;
  /**
   * Milliseconds for which a template still counts as in use after the deletion of its only endpoint. Default 0. At
   * RunPod: up to two minutes.
   */
  templateHoldMs?: number;
  /** Allowed requests of REST v2 per key. Default: ten times RunPod's documented limits, so that tests do not wait. */
  restQuota?: RestQuota;
  /**
   * Entries per page of REST v2's lists. Default 2, so that a client that reads only one page fails its tests. RunPod's
   * default is 1000.
   */
  restPageSize?: number;
  /**
   * Whether a release starts one worker before the first job. Default true, so that a rollout can wait for this worker.
   * According to RunPod's documentation (REST v2, createEndpoint), a release starts only `workersMin` workers.
   */
  startOnRelease?: boolean;
  /** Pause between two calls of a job's webhook, in milliseconds. Default 10 s, as at RunPod. */
  webhookRetryDelayMs?: number;
  /** Whether the job API sends CORS headers. RunPod does not document CORS. Default true. */
  cors?: boolean;
  /** Program of the pods' container. Default: `trainingContainer`, which writes the log of a training. */
  podContainer?: Container;
  /** Replaces the worker, for example with `idleWorker`. */
  startWorker?: ((env: Record<string, string>, signals: WorkerSignals) => RunningWorker) | undefined;
}

/** A running RunPod double. */
export interface RunpodDouble extends Listening {
  account: RunpodAccount;
  /** Pods of the account. */
  pods: Pods;
  /** Simulated failures. Tests can change them at any time. */
  switches: Switches;
  /** Skips time: results expire, idle endpoints get a lower `workersMax`, registry tokens expire. */
  skip(ms: number): void;
  /**
   * Makes every endpoint react immediately to changes of account, clock and switches. Without this call, the reaction
   * takes up to half a second.
   */
  tick(): void;
  /** Workers and jobs of every running endpoint. */
  endpoints(): EndpointOverview[];
  /** Replaces `https://api.runpod.io/graphql`. */
  graphqlUrl: string;
  /** Replaces `https://api.runpod.io/v2`, REST v2. The job API has the same URL. */
  restUrl: string;
  /** Replaces `https://api.runpod.ai/v2`. */
  jobApiUrl: string;
  /** Kind of worker that runs jobs. Without Python it is the canned worker, which always sends the same reply. */
  workerKind: "python" | "canned";
}

/**
 * Starts the RunPod double on one port: GraphQL, REST v2, the job API, and the API for the double's workers. The
 * additional API `/admin`, which RunPod does not have, controls the double's switches.
 *
 * @throws PortInUseError
 */
export async function startRunpod(options: RunpodOptions): Promise<RunpodDouble> {
  const { dir, events, python } = options;
  const warm = new WarmWorkers();
  const clock = new Clock();
  const switches = createSwitches();
  const account = new RunpodAccount(options.isInMemory ? undefined : join(dir, "account.db"), {
    workersQuota: options.workersQuota ?? 5,
    templateHoldMs: options.templateHoldMs ?? 0,
    clock,
    listLagMs: () => switches.listLagMs,
    imageExists: (imageName) => options.resolveImage(imageName) !== undefined,
    claimEndpoint: () => warm.claim(),
  });
  const workersDir = join(dir, "workers");
  rmSync(workersDir, { recursive: true, force: true });
  mkdirSync(workersDir, { recursive: true });

  const app = new Hono();
  const listening = await serve("RunPod", options.port, async (request) => {
    const response = await serveWithFaults(switches, events, request, (passed) => app.fetch(passed));
    // The answer of a fault does not pass the CORS middleware. Without this header, a browser could not read it.
    if (hasCors(options, request)) response.headers.set("access-control-allow-origin", "*");
    return response;
  });
  const jobApiUrl = `http://127.0.0.1:${listening.port}/v2`;
  const prepare = python
    ? (identity: WorkerIdentity) =>
        preparePythonWorker({ python, dir: workersDir }, identity.workerId, platformEnvironment(identity, jobApiUrl))
    : undefined;
  const start: StartWorker =
    options.startWorker ??
    (prepare ? (env, _signals, identity, prepared = prepare(identity)) => prepared.begin(env) : startCannedWorker);
  const resolve = (text: string) => account.secrets.resolve(text);
  const endpoints = new Endpoints({
    account,
    launch: workerLauncher({ dir: workersDir, jobApiUrl, engineUrl: options.engineUrl, resolve }, warm, start),
    resolveImage: options.resolveImage,
    switches,
    clock,
    startOnRelease: options.startOnRelease ?? true,
    webhookRetryDelayMs: options.webhookRetryDelayMs ?? 10_000,
    events,
  });
  const pods = new Pods({
    clock,
    switches,
    lag: account.lag,
    imageExists: (image) => options.resolveImage(image) !== undefined,
    registryExists: (id) => account.registries.find(id) !== undefined,
    resolve,
    container: options.podContainer,
  });
  const skip = (ms: number) => {
    clock.skippedMs += ms;
    account.sweep();
    endpoints.reconcile();
    endpoints.tick();
  };
  const close = async () => {
    pods.close();
    await Promise.all([endpoints.close(), warm.close()]);
    await listening.close();
    account.close();
  };
  addApis(app, options, { account, pods, endpoints, switches, clock, skip, url: listening.url });

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
    pods,
    switches,
    skip,
    tick: () => endpoints.tick(),
    endpoints: () => endpoints.overview(),
    restUrl: `${listening.url}/v2`,
    graphqlUrl: `${listening.url}/graphql`,
    jobApiUrl: `${listening.url}/v2`,
    workerKind: python ? "python" : "canned",
    close,
  };
}

/** Whether the answer to a request gets CORS headers. Only browsers need them, and browsers call only the job API. */
function hasCors({ cors = true }: RunpodOptions, { url }: Request): boolean {
  const { pathname } = new URL(url);
  return cors && pathname.startsWith("/v2/") && !isRestPath(pathname);
}

interface DoubleParts {
  account: RunpodAccount;
  pods: Pods;
  endpoints: Endpoints;
  switches: Switches;
  clock: Clock;
  skip(ms: number): void;
  url: string;
}

/** Mounts all APIs. The APIs below `/v2` must be mounted in this order. */
function addApis(app: Hono, { keys, events, ...options }: RunpodOptions, parts: DoubleParts): void {
  const { account, pods, endpoints, switches, clock, skip, url } = parts;
  const find = (id: string) => endpoints.find(id);
  const changed = () => endpoints.reconcile();
  const workerIds = (id: string) => (find(id)?.fleet.list() ?? []).map((worker) => worker.id);
  app.route("/admin", adminApi({ account, keys, switches, skip, tick: () => endpoints.tick() }));
  app.route("/graphql", graphqlApi({ account, keys, events, switches, workerIds, changed }));
  // Comes before the job API, because the job API would read `serverless` or `templates` as an endpoint's id.
  app.route(
    "/v2",
    restApi({
      account,
      pods,
      keys,
      switches,
      events,
      jobApiUrl: `${url}/v2`,
      fleet: (id) => find(id)?.fleet,
      changed,
      pageSize: options.restPageSize ?? 2,
      quota: options.restQuota ?? { minute: 600, hour: 30_000, day: 500_000 },
      now: clock.now,
    }),
  );
  if (options.cors ?? true) app.use("/v2/*", cors({ origin: "*", maxAge: 600 }));
  // Comes before the job API, because the job API refuses the keys of workers.
  app.route("/v2", workerApi({ find, switches }));
  app.route("/v2", jobApi({ keys, find, now: clock.now }));
}

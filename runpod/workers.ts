import { z } from "zod";
import type { ApiOptions, EndpointApi } from "./client";
import { getHealth, type Health } from "./health";
import { callJson, readStream } from "./http";

/** Workers of one endpoint at one moment. */
export interface Workers {
  /** Configuration version for new workers. RunPod raises it with each change that rolls the workers. */
  version: number | undefined;
  /** Number of workers of an older version, in any state. The other numbers count the current version only. */
  stale: number;
  /** Percentage of workers on the current version. Undefined when no rollout is in progress. */
  rolloutPercent: number | undefined;
  /** Number of workers that run a job or wait for a job. */
  ready: number;
  initializing: number;
  /** Seconds since the start of the oldest initializing worker. Undefined when RunPod does not return this time. */
  startingSeconds: number | undefined;
  /** Number of workers that wait for a GPU. */
  throttled: number;
  /** Number of workers that fail RunPod's health checks because they crash. */
  unhealthy: number;
  /** Ids of the workers that are not ready. Empty when RunPod does not return ids. */
  waitingIds: string[];
}

/** Reads the state of workers. */
export interface WorkerMonitor {
  /** Undefined when RunPod does not return the workers, for example because the key lacks the permission. */
  getWorkers(endpointId: string): Promise<Workers | undefined>;
  /** Number of jobs that workers run. Undefined when RunPod does not return it. */
  getRunningJobs(endpointId: string): Promise<number | undefined>;
  /** Latest log lines that the worker's host wrote, newest last. Empty when they cannot be read. */
  getHostLog(endpointId: string, workerId: string): Promise<string[]>;
}

const workerList = z.object({
  endpointVersion: z.number().nullish(),
  workers: z.array(
    z.object({ id: z.string(), status: z.string(), isStale: z.boolean(), uptimeSeconds: z.number().nullish() }),
  ),
});

const releases = z.object({
  endpointVersion: z.number().nullish(),
  rollout: z.object({
    inProgress: z.boolean(),
    workersOnLatest: z.number(),
    workersTotal: z.number(),
    percentOnLatest: z.number(),
  }),
});

const LOG_LINES = 20;
/**
 * Creates a monitor. It reads the progress of the rollout and the states of the workers from REST v2. If REST v2 does not
 * return the workers, the monitor reads the job API's counts, and the endpoint's version if the progress has none.
 *
 * @param options.logMs time to read a log, which is a stream without an end. Default 3000
 * @param jobApiUrl base URL of the job API, with `/v2`
 */
export function workerMonitor(
  { apiKey, url, timeoutMs = 10_000, logMs = 3_000 }: ApiOptions & { logMs?: number },
  jobApiUrl: string,
  client: Pick<EndpointApi, "getEndpointVersion">,
): WorkerMonitor {
  const endpointUrl = (id: string) => `${url.replace(/\/+$/, "")}/v2/serverless/${encodeURIComponent(id)}`;

  /** Reads `/v2/serverless/<id>/<part>`. Undefined when REST v2 does not return it. */
  async function readRest<T>(id: string, part: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const call = { operation: part, method: "GET", url: `${endpointUrl(id)}/${part}`, apiKey, timeoutMs } as const;
    const response = await callJson(call).catch(() => undefined);
    return schema.safeParse(response?.body).data;
  }

  async function fromRest(id: string): Promise<Workers | undefined> {
    const workers = await readRest(id, "workers", workerList);
    return workers && countWorkers(workers);
  }

  async function healthOf(id: string): Promise<Health | undefined> {
    return (await getHealth({ apiKey, url: jobApiUrl, timeoutMs }, id).catch(() => undefined))?.health;
  }

  /** @param known version from the progress of the rollout */
  async function fromJobApi(id: string, known: number | undefined): Promise<Workers | undefined> {
    const health = await healthOf(id);
    if (health === undefined) return undefined;
    const { idle, running, ready, ...others } = health.workers;
    const version = known ?? (await client.getEndpointVersion(id).catch(() => undefined));
    // The job API does not return versions, so every worker counts as current. This is almost correct: RunPod stops a
    // stale worker at once or after its current job.
    return {
      ...others,
      version,
      stale: 0,
      rolloutPercent: undefined,
      ready: Math.max(ready, idle + running),
      startingSeconds: undefined,
      waitingIds: [],
    };
  }

  return {
    async getWorkers(id) {
      const progress = rolloutOf(await readRest(id, "releases", releases));
      const workers = (await fromRest(id)) ?? (await fromJobApi(id, progress?.version));
      // The progress may count fewer workers than the list: RunPod may not count a worker that waits or crashes.
      return workers && { ...workers, ...progress, stale: Math.max(workers.stale, progress?.stale ?? 0) };
    },

    getRunningJobs: async (id) => (await healthOf(id))?.jobs.inProgress,

    async getHostLog(id, workerId) {
      const logs = `${endpointUrl(id)}/workers/${encodeURIComponent(workerId)}/logs`;
      const text = await readStream(`${logs}?source=system&tail=${LOG_LINES}`, apiKey, logMs);
      return text.split("\n").flatMap(logLine);
    },
  };
}

/** Progress of a rollout, from `/releases`. */
function rolloutOf(
  found: z.infer<typeof releases> | undefined,
): (Pick<Workers, "stale" | "rolloutPercent"> & Partial<Pick<Workers, "version">>) | undefined {
  if (found === undefined) return undefined;
  const { inProgress, workersOnLatest, workersTotal, percentOnLatest } = found.rollout;
  return {
    ...(typeof found.endpointVersion === "number" && { version: found.endpointVersion }),
    stale: Math.max(0, workersTotal - workersOnLatest),
    rolloutPercent: inProgress && workersTotal > 0 ? percentOnLatest : undefined,
  };
}

function countWorkers({ endpointVersion, workers }: z.infer<typeof workerList>): Workers {
  const current = workers.filter(({ isStale }) => !isStale);
  const count = (...statuses: string[]) => current.filter(({ status }) => statuses.includes(status)).length;
  const startingSeconds = current.flatMap(({ status, uptimeSeconds }) =>
    status === "INITIALIZING" ? (uptimeSeconds ?? []) : [],
  );
  return {
    version: endpointVersion ?? undefined,
    stale: workers.length - current.length,
    rolloutPercent: undefined,
    ready: count("RUNNING", "IDLE"),
    initializing: count("INITIALIZING"),
    startingSeconds: startingSeconds.length > 0 ? Math.max(...startingSeconds) : undefined,
    throttled: count("THROTTLED"),
    unhealthy: count("UNHEALTHY"),
    waitingIds: current.filter(({ status }) => !["RUNNING", "IDLE"].includes(status)).map(({ id }) => id),
  };
}

/** Returns the text of one `data:` line of the log. The line contains JSON: `{ts, source, line}`. */
function logLine(text: string): string[] {
  const data = /^data:\s*(.*)$/.exec(text)?.[1];
  if (data === undefined) return [];
  try {
    const parsed = z.object({ line: z.string() }).safeParse(JSON.parse(data));
    return parsed.success ? [parsed.data.line.trim()] : [];
  } catch {
    return [];
  }
}

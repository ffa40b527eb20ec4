import { z } from "zod";
import type { ApiOptions, RunpodClient } from "./client";
import { askHealth } from "./health";
import { type Answer, callJson } from "./http";

/** The workers of one endpoint, as RunPod tells at one moment. */
export interface Fleet {
  /** Which configuration new workers get, counted up with each change that rolls them. */
  version: number | undefined;
  /** Workers of an older configuration, whatever they do. */
  stale: number;
  /** Workers of the current one: running a job, or waiting for one. */
  ready: number;
  initializing: number;
  /** For how many seconds the one that has been starting longest does so, where RunPod tells. */
  startingSeconds: number | undefined;
  /** Waiting for a GPU. */
  throttled: number;
  /** Failing RunPod's health checks: they crash. */
  unhealthy: number;
  /** Ids of those that are not ready, where RunPod names them. */
  waitingIds: string[];
}

/** Looks at endpoints' workers. */
export interface FleetWatch {
  /** Undefined when RunPod does not tell: no permission, or an API that does not know of workers. */
  look(endpointId: string): Promise<Fleet | undefined>;
  /** The latest lines that the host of a worker wrote about it, the last one last; none when they cannot be had. */
  hostLog(endpointId: string, workerId: string): Promise<string[]>;
}

const workers = z.object({
  endpointVersion: z.number().nullish(),
  workers: z.array(
    z.object({ id: z.string(), status: z.string(), isStale: z.boolean(), uptimeSeconds: z.number().nullish() }),
  ),
});

const LOG_LINES = 20;
/** A log is a stream that does not end: what came within this time is all. */
const LOG_MS = 3_000;

/**
 * Sees through REST v2, which knows each worker's version; where that cannot be reached, through the job API's counts and
 * the version that the control plane tells.
 *
 * @param jobApiUrl base of the job API, with `/v2`
 */
export function fleetWatch(
  { apiKey, url, timeoutMs = 10_000 }: ApiOptions,
  jobApiUrl: string,
  client: Pick<RunpodClient, "getEndpointVersion">,
): FleetWatch {
  const base = url.replace(/\/+$/, "");
  const get = (operation: string, path: string) =>
    callJson({ operation, method: "GET", url: path, apiKey, timeoutMs }).catch((): Answer | undefined => undefined);

  async function throughRest(id: string): Promise<Fleet | undefined> {
    const { body } = (await get("workers", `${base}/v2/serverless/${encodeURIComponent(id)}/workers`)) ?? {};
    const parsed = workers.safeParse(body);
    if (!parsed.success) return undefined;
    const current = parsed.data.workers.filter(({ isStale }) => !isStale);
    const count = (...statuses: string[]) => current.filter(({ status }) => statuses.includes(status)).length;
    const starting = current.filter(({ status }) => status === "INITIALIZING");
    const startingSeconds = starting.flatMap(({ uptimeSeconds }) => uptimeSeconds ?? []);
    return {
      version: parsed.data.endpointVersion ?? undefined,
      stale: parsed.data.workers.length - current.length,
      ready: count("RUNNING", "IDLE"),
      initializing: starting.length,
      startingSeconds: startingSeconds.length > 0 ? Math.max(...startingSeconds) : undefined,
      throttled: count("THROTTLED"),
      unhealthy: count("UNHEALTHY"),
      waitingIds: current.filter(({ status }) => !["RUNNING", "IDLE"].includes(status)).map((worker) => worker.id),
    };
  }

  async function throughJobApi(id: string): Promise<Fleet | undefined> {
    const { health } = (await askHealth({ apiKey, url: jobApiUrl, timeoutMs }, id).catch(() => undefined)) ?? {};
    if (health === undefined) return undefined;
    const { idle, running, ready, ...others } = health.workers;
    const version = await client.getEndpointVersion(id).catch(() => undefined);
    // RunPod ends idle workers of an older version at once and lets busy ones finish: those are not told apart here.
    return {
      ...others,
      version,
      stale: 0,
      ready: Math.max(ready, idle + running),
      startingSeconds: undefined,
      waitingIds: [],
    };
  }

  return {
    look: async (id) => (await throughRest(id)) ?? throughJobApi(id),

    async hostLog(id, workerId) {
      const path = `${base}/v2/serverless/${encodeURIComponent(id)}/workers/${encodeURIComponent(workerId)}/logs`;
      const text = await streamed(`${path}?source=system&tail=${LOG_LINES}`, apiKey);
      return text.split("\n").flatMap(logLine);
    },
  };
}

/** What a server-sent stream gives within the time. */
async function streamed(url: string, apiKey: string): Promise<string> {
  let text = "";
  try {
    const signal = AbortSignal.timeout(LOG_MS);
    const response = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` }, redirect: "error", signal });
    if (!response.ok || response.body === null) return "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) text += chunk;
  } catch {
    // Cut off by the time, as a log that is still written must be.
  }
  return text;
}

/** The text of one `data:` line of the log, `{ts, source, line}`. */
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

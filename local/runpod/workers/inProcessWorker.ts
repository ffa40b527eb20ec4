import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { ApiError } from "../../../contract/errors";
import { makeHandler } from "./inProcessHandler";
import type { RunningWorker } from "./workers";

const CONCURRENCY = 32;
const REQUEST_TIMEOUT_MS = 90_000;

const Jobs = z.array(z.object({ id: z.string(), input: z.unknown() }));

/**
 * A worker in this process, for machines without Python. It speaks the same HTTP protocol to the job API as the Python
 * SDK, from the same environment, so everything but the language is the same.
 */
export function startInProcessWorker(env: Record<string, string>): RunningWorker {
  const stopping = new AbortController();
  const running = new Map<string, AbortController>();
  const api = new WorkerClient(env);

  const work = async (handle: ReturnType<typeof makeHandler>, id: string, input: unknown) => {
    const stopped = new AbortController();
    running.set(id, stopped);
    try {
      const output: unknown[] = [];
      for await (const item of handle(input, stopped.signal)) {
        output.push(item);
        await api.stream(id, { output: item });
      }
      await api.done(id, { output });
    } catch (error) {
      // A stopped job reports nothing, as in the SDK.
      if (!stopped.signal.aborted) await api.done(id, { error: errorText(error) });
    } finally {
      running.delete(id);
    }
  };

  const takeJobs = async (handle: ReturnType<typeof makeHandler>) => {
    while (!stopping.signal.aborted) {
      const free = CONCURRENCY - running.size;
      if (free > 0)
        for (const { id, input } of await api.take(free, stopping.signal))
          void work(handle, id, input).catch(() => undefined);
      else await sleep(100);
    }
  };
  const stopJobs = async () => {
    while (!stopping.signal.aborted) for (const id of await api.stops(stopping.signal)) running.get(id)?.abort();
  };

  const exited = (async () => {
    try {
      const handle = makeHandler(env);
      await Promise.all([takeJobs(handle), stopJobs()]);
      return undefined;
    } catch (error) {
      return stopping.signal.aborted ? undefined : String(error);
    } finally {
      stopping.abort();
    }
  })();

  return {
    exited,
    stop: async () => {
      stopping.abort();
      for (const job of running.values()) job.abort();
      await exited;
    },
  };
}

/** The worker's side of the protocol (runpod-python 1.12, `rp_job.py` and `rp_http.py`). */
class WorkerClient {
  constructor(private readonly env: Record<string, string>) {}

  async take(count: number, stopping: AbortSignal) {
    const url = this.url("RUNPOD_WEBHOOK_GET_JOB", this.env.RUNPOD_POD_ID).replace("/job-take/", "/job-take-batch/");
    const response = await this.request(`${url}&batch_size=${count}`, { signal: stopping });
    return response.status === 200 ? Jobs.parse(await response.json()) : [];
  }

  async stops(stopping: AbortSignal): Promise<string[]> {
    const url = this.url("RUNPOD_WEBHOOK_GET_JOB", this.env.RUNPOD_POD_ID).replace("/job-take/", "/job-stop/");
    const response = await this.request(url, { signal: stopping });
    return response.status === 200
      ? z.object({ jobsToStop: z.array(z.string()) }).parse(await response.json()).jobsToStop
      : [];
  }

  async stream(id: string, body: object): Promise<void> {
    await this.request(`${this.url("RUNPOD_WEBHOOK_POST_STREAM", id)}&isStream=false`, post(body));
  }

  async done(id: string, body: object): Promise<void> {
    await this.request(`${this.url("RUNPOD_WEBHOOK_POST_OUTPUT", id)}&isStream=true`, post(body));
  }

  private url(name: string, id = ""): string {
    return (this.env[name] ?? "").replace("$RUNPOD_POD_ID", this.env.RUNPOD_POD_ID ?? "").replace("$ID", id);
  }

  private async request(url: string, init: RequestInit): Promise<Response> {
    const signals = [AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(init.signal ? [init.signal] : [])];
    const headers = { authorization: this.env.RUNPOD_AI_API_KEY ?? "" };
    const response = await fetch(url, { ...init, headers, signal: AbortSignal.any(signals) });
    if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}`);
    return response;
  }
}

function post(body: object): RequestInit {
  return { method: "POST", body: JSON.stringify(body) };
}

/** A job's error as the platform carries it: JSON text of the contract's error. */
function errorText(error: unknown): string {
  return JSON.stringify((error instanceof ApiError ? error : new ApiError("internal")).body);
}

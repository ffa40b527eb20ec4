import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type ErrorCode } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { StreamItem, WorkerFailure, type WorkerInput, type WorkerOutput } from "../../contract/worker";
import type { FailureCause } from "../core/relay/failure";
import { type Provider, type ProviderEvent, ProviderFailure } from "../core/relay/provider";

/** Minimum time between the starts of two polls of one job. RunPod allows 2,000 polls per endpoint in 10 s. */
const POLL_EVERY_MS = 100;
/** Longer than a `/stream` poll, which RunPod holds for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
const CANCEL_TIMEOUT_MS = 5_000;
/** Maximum number of attempts of one poll. When all attempts have failed, the request fails. */
const POLL_ATTEMPTS = 6;
/** Longest pause before a failed poll is repeated. */
const MAX_POLL_PAUSE_MS = 2_000;
/** RunPod deletes a job at this age, so that no job outlives a relay that crashed. */
export const JOB_SECONDS = 300;
/** RunPod ends a job when a worker has run it for this time. */
const EXECUTION_TIMEOUT_MS = 120_000;

/** A RunPod endpoint and the input of one job. */
export interface WorkerOptions {
  model: Model;
  /** Whether the endpoint is that of the model's candidate. */
  isCandidate?: boolean;
  /** Base URL of the endpoint's job API, `https://api.runpod.ai/v2/<endpoint id>`. */
  url: string;
  /** Reads the account's API key. */
  apiKey(options?: { fresh: boolean }): Promise<string>;
  /** Signs the job's ticket. */
  ticket(): Promise<string>;
  /**
   * The customer's original messages and parameters. The worker merges and shortens the messages. Its limits apply to
   * the original messages, so the relay does not merge them.
   */
  input: Omit<WorkerInput, "ticket">;
  /** Keeps the invocation running until background work is done. */
  waitUntil(work: Promise<unknown>): void;
  /** Whether an aborted request leaves its job running, so that the worker continues to start. Default false. */
  keepJob?: boolean;
  /** Receives each job's result, and undefined for each item that breaks the contract. */
  onOutput?: (output: WorkerOutput | undefined) => void;
  /** Called when a worker has taken the job. May be called again. */
  onStart?: () => void;
}

/**
 * Creates a provider that answers with the GPU workers of a RunPod endpoint, over RunPod's job API. When the worker
 * refuses the customer's input or ticket, the failure's cause is an ApiError with the worker's code. An aborted request
 * cancels its job, even when RunPod has not yet returned the job's id.
 */
export function createWorker(options: WorkerOptions): Provider {
  const { model, isCandidate } = options;
  return { name: "runpod", model, ...(isCandidate && { isCandidate }), stream: (_, signal) => runJob(options, signal) };
}

async function* runJob(options: WorkerOptions, signal: AbortSignal): AsyncGenerator<ProviderEvent, void, void> {
  signal.throwIfAborted();
  const submitted = submit(options);
  const over = Promise.withResolvers<unknown>();
  options.waitUntil(over.promise);
  let isRunning = true;
  try {
    const job = await orAborted(submitted, signal);
    for await (const event of readEvents(job, signal, options)) {
      if ("end" in event) isRunning = false;
      yield event;
    }
  } catch (error) {
    if (error instanceof JobEnded) isRunning = false;
    throw error instanceof JobEnded ? error.cause : error;
  } finally {
    const leave = async (job: Job) => {
      if (isRunning && !options.keepJob) await job.cancel();
    };
    // After an early abort, RunPod may still start the job. The job is cancelled as soon as its id arrives.
    submitted.then(leave).then(over.resolve, over.resolve);
  }
}

/** Polls a job until its result. @throws JobEnded when the job ended without a result */
async function* readEvents(
  job: Job,
  signal: AbortSignal,
  { onOutput, onStart }: Pick<WorkerOptions, "onOutput" | "onStart">,
): AsyncGenerator<ProviderEvent, void, void> {
  const end = (done: Done) => {
    onOutput?.(done);
    return lastEvents(done, text);
  };
  let text = "";
  for (let polledAt = Number.NEGATIVE_INFINITY; ; ) {
    await pause(POLL_EVERY_MS - (performance.now() - polledAt), signal);
    polledAt = performance.now();
    const { status, items } = await job.readStream(signal);
    if (status === "IN_PROGRESS" || items.length > 0) onStart?.();
    for (const item of items) {
      if ("done" in item) return yield* end(item);
      text += item.delta;
      yield { text: item.delta };
    }
    if (isFinal(status)) return yield* end(await job.readResult(signal));
  }
}

/** Yields the end of the text if the last pieces were lost. Then yields the end of the reply. */
function* lastEvents(done: Done, text: string): Generator<ProviderEvent, void, void> {
  if (!done.text.startsWith(text)) throw new JobEnded(new ProviderFailure("broken", "A piece of the text was lost"));
  if (done.text.length > text.length) yield { text: done.text.slice(text.length) };
  yield { end: { finishReason: done.finish_reason, usage: done.usage, version: done.model.version } };
}

/** The job has ended without a reply. The cause is the error for the caller. */
class JobEnded extends Error {
  constructor(override readonly cause: ProviderFailure) {
    super(cause.message);
  }
}

type Done = Extract<StreamItem, { done: true }>;

interface Job {
  /** Reads the items that arrived after the previous read. */
  readStream(signal: AbortSignal): Promise<{ status: string; items: StreamItem[] }>;
  /** Reads the result of a finished job. Needed when the response with the last item was lost. */
  readResult(signal: AbortSignal): Promise<Done>;
  /** Cancels the job. Ignores a failed call, because RunPod itself ends the job after its time limit. */
  cancel(): Promise<void>;
}

async function submit({ url, apiKey, ticket, input, onOutput }: WorkerOptions): Promise<Job> {
  const base = url.replace(/\/+$/, "");
  const [key, jobTicket] = await Promise.all([apiKey(), ticket()]).catch((cause: unknown) => {
    throw new ProviderFailure("misconfigured", "RunPod's API key or the ticket key cannot be read", { cause });
  });
  let authorization = `Bearer ${key}`;
  const call = async (
    path: string,
    { signal = [], ...init }: Omit<RequestInit, "signal"> & { signal?: AbortSignal[] },
  ) => {
    const limit = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const headers = { authorization, ...(init.body && { "content-type": "application/json" }) };
    return send(`RunPod's /${path.split("/")[0]}`, `${base}/${path}`, {
      ...init,
      headers,
      signal: AbortSignal.any([limit, ...signal]),
    });
  };
  const policy = { executionTimeout: EXECUTION_TIMEOUT_MS, ttl: JOB_SECONDS * 1_000 };
  const body = JSON.stringify({ input: { ...input, ticket: jobTicket, stream: true }, policy });
  const start = () => call("run", { method: "POST", body });
  const answer = await start().catch(async (error: unknown) => {
    if (!(error instanceof ProviderFailure && error.reason === "auth_or_quota")) throw error;
    // The cached key may be outdated. RunPod has refused the call and has started no job, so the call can be repeated.
    const fresh = `Bearer ${await apiKey({ fresh: true }).catch(() => key)}`;
    if (fresh === authorization) throw error;
    authorization = fresh;
    return start();
  });
  const id = field(answer, "id");
  if (typeof id !== "string") throw new ProviderFailure("upstream_error", "RunPod answered /run without a job id");

  const poll = async (operation: "stream" | "status", signal: AbortSignal) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(`${operation}/${encodeURIComponent(id)}`, { signal: [signal] });
      } catch (error) {
        signal.throwIfAborted();
        if (!mayRepeat(error) || attempt === POLL_ATTEMPTS) throw error;
        await pause(Math.min(error.retryAfterMs ?? attempt * 250, MAX_POLL_PAUSE_MS), signal);
      }
    }
  };
  const itemsOf = (outputs: unknown[]) =>
    outputs.flatMap((output) => {
      const { data } = StreamItem.safeParse(output);
      // RunPod has no output of a job that expired, which is not the worker's fault.
      if (!data && output !== undefined && output !== null) onOutput?.(undefined);
      return data ?? [];
    });
  return {
    async readStream(signal) {
      const answer = await poll("stream", signal);
      const stream = field(answer, "stream");
      const items = itemsOf(Array.isArray(stream) ? stream.map((entry) => field(entry, "output")) : []);
      return { status: String(field(answer, "status")), items };
    },
    async readResult(signal) {
      const answer = await poll("status", signal);
      const status = String(field(answer, "status"));
      if (status !== "COMPLETED") throw new JobEnded(jobFailure(status, field(answer, "error")));
      const output = field(answer, "output");
      const done = itemsOf([output].flat()).findLast((item) => "done" in item);
      if (!done || !("done" in done))
        throw new JobEnded(new ProviderFailure("broken", "The job completed without a result"));
      return done;
    },
    async cancel() {
      const signal = [AbortSignal.timeout(CANCEL_TIMEOUT_MS)];
      await call(`cancel/${encodeURIComponent(id)}`, { method: "POST", signal }).catch(() => {});
    },
  };
}

/** Sends a request to RunPod and returns the JSON body. @throws ProviderFailure */
async function send(operation: string, url: string, init: RequestInit): Promise<unknown> {
  try {
    const response = await fetch(url, init);
    if (response.ok) return await response.json();
    // The body must be read, so that the connection can be used again. It is not logged: it may repeat the input.
    await response.arrayBuffer();
    throw httpFailure(operation, response);
  } catch (cause) {
    if (cause instanceof ProviderFailure) throw cause;
    throw new ProviderFailure(
      "upstream_error",
      `${operation} failed: ${cause instanceof Error ? cause.name : "error"}`,
    );
  }
}

function httpFailure(operation: string, { status, headers }: Response): ProviderFailure {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined;
  return new ProviderFailure(reasonOf(status), `${operation} answered ${status}`, { retryAfterMs });
}

function reasonOf(status: number): FailureCause {
  if (status === 401 || status === 402 || status === 403) return "auth_or_quota";
  if (status === 404) return "not_found";
  if (status === 429) return "rate_limited";
  if (status === 503) return "overloaded";
  return status >= 500 ? "upstream_error" : "invalid_request";
}

/** Worker error codes for a fault in the customer's request. No other model could answer such a request. */
const customerCodes = [
  "invalid_input",
  "too_long",
  "ticket_missing",
  "ticket_invalid",
  "ticket_expired",
  "ticket_wrong_model",
] as const satisfies ErrorCode[];

const reasonByCode: Partial<Record<ErrorCode, FailureCause>> = { overloaded: "overloaded", timeout: "timeout" };

/**
 * Converts the state of a job that ended without a result. When the worker refused the customer's input or ticket, the
 * cause is an ApiError with the worker's code and text.
 *
 * @param error RunPod's `error`. It is the JSON text of the contract's error when the worker wrote it, otherwise a text
 *   of RunPod
 */
function jobFailure(status: string, error: unknown): ProviderFailure {
  const { code, message } = contractError(error) ?? {};
  const refusal = customerCodes.find((one) => one === code);
  if (refusal && message) {
    return new ProviderFailure("invalid_request", `The worker refused the job with ${refusal}`, {
      cause: new ApiError(refusal, message),
    });
  }
  // RunPod may also report an exceeded time limit as FAILED, with the reason in the text only.
  const isTimeout = status === "TIMED_OUT" || (typeof error === "string" && /executionTimeout|timed out/i.test(error));
  const reason = (code && reasonByCode[code]) ?? (isTimeout ? "timeout" : "upstream_error");
  return new ProviderFailure(reason, `The job ended as ${status}${code ? ` with ${code}` : ""}`);
}

function contractError(error: unknown): WorkerFailure["error"] | undefined {
  if (typeof error !== "string") return undefined;
  try {
    return WorkerFailure.safeParse(JSON.parse(error)).data?.error;
  } catch {
    return undefined;
  }
}

function isFinal(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}

/** Whether a retry of a poll may succeed. A poll that RunPod refused (401, 404) is not retried. */
function mayRepeat(error: unknown): error is ProviderFailure {
  return error instanceof ProviderFailure && ["rate_limited", "overloaded", "upstream_error"].includes(error.reason);
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Settles like `work`. If the signal aborts first, rejects with the signal's reason. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

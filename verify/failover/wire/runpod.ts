import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { ErrorBody } from "../../../contract/errors";
import type { StreamItem } from "../../../contract/worker";
import { WorkerInput, workerBounds } from "../../../contract/worker";
import { listen } from "../../../local/support/http";
import { type Fault, TOKEN_PAUSE_MS, TOKENS, token, tokenPauseMs, wholeReply } from "./fault";
import { type FaultyServer, type Script, type SeenRequest, seenRequest } from "./faultyServer";
import { type JsonResponse, readJson, retryAfter, sendJson } from "./http";
import { type Chat, firstIssue, GARBAGE, type VendorError, type WireError } from "./wire";

/** API key that the job API accepts. */
export const RUNPOD_KEY = "rpa_local_failover";
/** Version that the worker reports in its last item. */
const WORKER_VERSION = "failover";

/** RunPod holds a `/stream` poll for about 10 s. */
const STREAM_WAIT_MS = 10_000;
const LOOK_EVERY_MS = 5;
/**
 * The worker's error for `context_too_long`. A worker shortens long conversations, so it sends this error only for a
 * long message.
 */
const TOO_LONG: ErrorBody = { error: { code: "too_long", message: "The text is too long.", retryable: false } };

/** Limits of a policy (source: RunPod's page "Send API requests", `executionTimeout` and `ttl`). */
const Submission = z.strictObject({
  input: WorkerInput,
  policy: z
    .strictObject({
      executionTimeout: z.int().min(5_000).max(604_800_000).optional(),
      ttl: z.int().min(10_000).max(604_800_000).optional(),
      lowPriority: z.boolean().optional(),
    })
    .optional(),
  webhook: z.url().optional(),
});

type Status = "IN_QUEUE" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "CANCELLED";

/** A job. Its state is computed from the time since its submission. */
interface Job {
  id: string;
  fault: Fault;
  startedAtMs: number;
  seen: SeenRequest;
  /** Number of stream items that a poll has taken. */
  taken: number;
  /** Whether the malformed response was sent. */
  isGarbled: boolean;
}

/** Options of a faulty RunPod endpoint. */
export interface FaultyRunpodOptions {
  mark: string;
  scale: number;
}

/**
 * Starts the job API of one RunPod endpoint: run, stream, status and cancel. Its jobs answer like the product's worker.
 * Plays the faults of `fault.ts`. Errors occur at `/run`, all other faults in the job. `requests` has one entry per
 * call of `/run`, and `abandonedAtMs` is the time of the cancellation.
 */
export async function startFaultyRunpod(options: FaultyRunpodOptions): Promise<FaultyServer> {
  const endpoint = new Endpoint(options);
  const server = await listen("faulty RunPod", 0, (request, response) => {
    // Waiting ends with an AbortError when the server closes.
    endpoint.handle(request, response).catch(() => response.destroy());
  });
  return {
    url: `${server.url}/v2/failover`,
    requests: endpoint.requests,
    play: (script) => endpoint.play(script),
    close: async () => {
      endpoint.closing.abort();
      await server.close();
    },
  };
}

/** The endpoint's jobs and the routes of its job API. */
class Endpoint {
  readonly requests: SeenRequest[] = [];
  readonly closing = new AbortController();
  private readonly jobs = new Map<string, Job>();
  private script: Script = () => ({ kind: "none" });
  private valid = 0;

  constructor(private readonly options: FaultyRunpodOptions) {}

  play(script: Script): void {
    this.script = script;
    this.valid = 0;
    this.requests.length = 0;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    const [, , , operation = "", id = ""] = (request.url ?? "").split("/");
    if (request.headers.authorization !== `Bearer ${RUNPOD_KEY}`) {
      return sendJson(response, problem(401, "unauthorized"));
    }
    const route = `${request.method} ${operation}`;
    if (route === "POST run") return this.run(body, response);
    const job = this.jobs.get(decodeURIComponent(id));
    if (!job) return sendJson(response, problem(404, "job not found"));
    if (route === "GET stream") return this.stream(job, response);
    if (route === "GET status") return this.status(job, response);
    if (route === "POST cancel") return this.cancel(job, response);
    return sendJson(response, problem(404, "not found"));
  }

  private run(body: unknown, response: ServerResponse): void {
    const answer = this.submit(body);
    if (answer === "reset") response.socket?.resetAndDestroy();
    else sendJson(response, answer);
  }

  private submit(body: unknown): JsonResponse | "reset" {
    const seen = seenRequest(body);
    this.requests.push(seen);
    const parsed = Submission.safeParse(body);
    if (!parsed.success) {
      const { path, message } = firstIssue(parsed.error);
      seen.refusal = problem(400, `bad request: ${path || "body"}: ${message}`);
      return seen.refusal;
    }
    const chat = chatOf(parsed.data.input);
    const fault = this.script(chat, this.valid++);
    Object.assign(seen, { model: chat.model, promptChars: chat.promptChars, fault: fault.kind });
    if (fault.kind === "reset") return "reset";
    if (fault.kind === "refuse" && isError(fault.error)) {
      return { ...errors[fault.error], headers: retryAfter(fault.retryAfterMs) };
    }
    const id = `${crypto.randomUUID()}-e1`;
    this.jobs.set(id, { id, fault, startedAtMs: performance.now(), seen, taken: 0, isGarbled: false });
    return { status: 200, body: { id, status: "IN_QUEUE" } };
  }

  /** Waits for the next items, like RunPod. Each item is sent in only one response. */
  private async stream(job: Job, response: ServerResponse): Promise<void> {
    const until = performance.now() + STREAM_WAIT_MS / this.options.scale;
    while (!this.hasNews(job) && performance.now() < until && !response.closed) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.closing.signal });
    }
    if (job.fault.kind === "malformed" && !job.isGarbled && job.taken >= job.fault.afterTokens) {
      job.isGarbled = true;
      response.end(`{"status":"IN_PROGRESS","stream":[{"output":{"delta":"${GARBAGE}`);
      return;
    }
    const ageMs = this.ageMs(job);
    const items = newItems(job, ageMs, this.options.mark);
    job.taken += items.length;
    job.seen.tokens = Math.min(job.taken, TOKENS);
    if (items.some((item) => "done" in item)) job.seen.complete = true;
    send(response, { status: statusOf(job, ageMs), stream: items.map((output) => ({ output })) });
  }

  private status(job: Job, response: ServerResponse): void {
    const status = statusOf(job, this.ageMs(job));
    const hasResult = status === "COMPLETED" && job.fault.kind !== "cut";
    if (hasResult) job.seen.complete = true;
    send(response, {
      id: job.id,
      status,
      ...(status === "FAILED" && { error: failureOf(job) }),
      ...(hasResult && { output: [doneItem(job, this.options.mark)] }),
    });
  }

  private cancel(job: Job, response: ServerResponse): void {
    if (!isFinal(job, this.ageMs(job))) job.seen.abandonedAtMs = performance.now();
    send(response, { id: job.id, status: statusOf(job, this.ageMs(job)) });
  }

  private hasNews(job: Job): boolean {
    const ageMs = this.ageMs(job);
    return newItems(job, ageMs, this.options.mark).length > 0 || isFinal(job, ageMs);
  }

  /** Age of a job at the scale 1. */
  private ageMs(job: Job): number {
    return (performance.now() - job.startedAtMs) * this.options.scale;
  }
}

function chatOf({ text = "", messages = [], params }: WorkerInput): Chat {
  const promptChars = [text, ...messages.map(({ content }) => content)].join("").length;
  return { model: "worker", maxTokens: params?.max_tokens ?? workerBounds.maxTokens, promptChars, stream: true };
}

/** RunPod's own errors: a status and one string (source: `local/runpod/jobApi/problem.ts`, from RunPod's answers). */
const errors: Record<ApiFailure, WireError> = {
  rate_limited: problem(429, "too many run requests"),
  server_error: problem(500, "internal server error"),
  overloaded: problem(503, "service unavailable"),
};

/** Errors of the job API itself. The other errors are results of a job. */
type ApiFailure = Exclude<VendorError, "context_too_long" | "filtered">;

function isError(error: VendorError): error is ApiFailure {
  return error in errors;
}

function problem(status: number, error: string): WireError {
  return { status, body: { error } };
}

/** Number of tokens that the worker has written after `ageMs`. */
function tokensAfter({ fault }: Job, ageMs: number): number {
  if (fault.kind === "silent" || fault.kind === "filtered" || fault.kind === "refuse") return 0;
  const delayMs = fault.kind === "slow" ? fault.firstTextMs : 0;
  const written = Math.max(0, Math.floor((ageMs - delayMs) / tokenPauseMs(fault)));
  const limit = fault.kind === "cut" || fault.kind === "stall" ? fault.afterTokens : TOKENS;
  return Math.min(written, limit);
}

function statusOf(job: Job, ageMs: number): Status {
  const { fault, seen } = job;
  if (seen.abandonedAtMs !== undefined) return "CANCELLED";
  if (fault.kind === "refuse") return fault.error === "filtered" ? "COMPLETED" : "FAILED";
  if (fault.kind === "filtered") return "COMPLETED";
  if (fault.kind === "silent") return "IN_QUEUE";
  const tokens = tokensAfter(job, ageMs);
  if (tokens === TOKENS)
    return fault.kind === "unterminated" && fault.connection === "open" ? "IN_PROGRESS" : "COMPLETED";
  if (fault.kind === "cut" && tokens === fault.afterTokens)
    return fault.connection === "ended" ? "COMPLETED" : "FAILED";
  if (fault.kind === "stall" && ageMs > fault.silentMs + fault.afterTokens * TOKEN_PAUSE_MS) return "FAILED";
  return tokens > 0 ? "IN_PROGRESS" : "IN_QUEUE";
}

function isFinal(job: Job, ageMs: number): boolean {
  return !["IN_QUEUE", "IN_PROGRESS"].includes(statusOf(job, ageMs));
}

/** Items of the job that no poll has taken. */
function newItems(job: Job, ageMs: number, mark: string): StreamItem[] {
  const deltas = Array.from({ length: tokensAfter(job, ageMs) }, (_, index) => ({ delta: token(mark, index) }));
  const hasDone = statusOf(job, ageMs) === "COMPLETED" && job.fault.kind !== "cut" && job.fault.kind !== "unterminated";
  return [...deltas, ...(hasDone ? [doneItem(job, mark)] : [])].slice(job.taken);
}

function doneItem({ fault, seen }: Job, mark: string): StreamItem {
  const isFiltered = fault.kind === "filtered" || fault.kind === "refuse";
  return {
    done: true,
    text: isFiltered ? "" : wholeReply(mark),
    finish_reason: isFiltered ? "filter" : "stop",
    usage: { prompt_tokens: Math.max(2, seen.promptChars), completion_tokens: isFiltered ? 1 : TOKENS },
    model: { plan: "paid", name: "mistral", version: WORKER_VERSION },
    timings: { ttft_ms: 1, total_ms: 1 },
  };
}

function failureOf({ fault }: Job): string {
  return fault.kind === "refuse" ? JSON.stringify(TOO_LONG) : "worker exited with exit code 137";
}

function send(response: ServerResponse, body: unknown): void {
  sendJson(response, { status: 200, body });
}

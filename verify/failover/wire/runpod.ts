import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { ErrorBody } from "../../../contract/errors";
import type { StreamItem } from "../../../contract/worker";
import { WorkerInput } from "../../../contract/worker";
import { listen } from "../../../local/support/http";
import { type Fault, TOKENS, token, wholeReply } from "../fault";
import type { FaultyProvider, Script, SeenRequest } from "../faultyProvider";
import { readJson, retryAfter, sendJson } from "../http";
import { firstIssue, GARBAGE, type VendorError, type WireError } from "./wire";

/** API key that the job API accepts. */
export const RUNPOD_KEY = "rpa_local_failover";
/** Version that the worker reports in its last item. */
export const WORKER_VERSION = "failover";

/** RunPod holds a `/stream` poll for about 10 s. */
const STREAM_WAIT_MS = 10_000;
const TOKEN_PAUSE_MS = 15;
const LOOK_EVERY_MS = 5;
/** Messages of a conversation for which `context_too_long` is played. A worker shortens a conversation itself. */
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
  garbled: boolean;
}

/** Options of a faulty RunPod endpoint. */
export interface FaultyRunpodOptions {
  mark: string;
  scale: number;
}

/**
 * Starts the job API of one RunPod endpoint with the product's worker behind it: run, stream, status and cancel. It plays
 * the faults of `fault.ts`: errors at `/run`, everything else in the job. `requests` has one entry per call of `/run`;
 * `abandonedAtMs` is the time of the cancellation.
 */
export async function startFaultyRunpod({ mark, scale }: FaultyRunpodOptions): Promise<FaultyProvider> {
  const closing = new AbortController();
  const jobs = new Map<string, Job>();
  let script: Script = () => ({ kind: "none" });
  let valid = 0;
  const age = (job: Job) => (performance.now() - job.startedAtMs) * scale;

  const run = (body: unknown, response: ServerResponse): void | Promise<void> => {
    const seen: SeenRequest = {
      atMs: performance.now(),
      body,
      model: "",
      promptChars: 0,
      fault: "invalid",
      tokens: 0,
      complete: false,
    };
    provider.requests.push(seen);
    const parsed = Submission.safeParse(body);
    if (!parsed.success) {
      const { path, message } = firstIssue(parsed.error);
      seen.refusal = problem(400, `bad request: ${path || "body"}: ${message}`);
      return sendJson(response, seen.refusal);
    }
    const { text, messages = [], params } = parsed.data.input;
    seen.promptChars = [text ?? "", ...messages.map(({ content }) => content)].join("").length;
    const chat = { model: "worker", maxTokens: params?.max_tokens ?? 512, promptChars: seen.promptChars, stream: true };
    const fault = script(chat, valid++);
    seen.fault = fault.kind;
    if (fault.kind === "reset") return void response.socket?.resetAndDestroy();
    if (fault.kind === "refuse" && fault.error !== "context_too_long" && fault.error !== "filtered") {
      return sendJson(response, { ...errors[fault.error], headers: retryAfter(fault.retryAfterMs) });
    }
    const id = `${crypto.randomUUID()}-e1`;
    jobs.set(id, { id, fault, startedAtMs: performance.now(), seen, taken: 0, garbled: false });
    send(response, { id, status: "IN_QUEUE" });
  };

  const stream = async (job: Job, response: ServerResponse) => {
    const until = performance.now() + STREAM_WAIT_MS / scale;
    let items = newItems(job, age(job), mark);
    while (items.length === 0 && !isFinal(job, age(job)) && performance.now() < until && !response.closed) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: closing.signal });
      items = newItems(job, age(job), mark);
    }
    if (job.fault.kind === "malformed" && !job.garbled && job.taken >= job.fault.afterTokens) {
      job.garbled = true;
      response.end(`{"status":"IN_PROGRESS","stream":[{"output":{"delta":"${GARBAGE}`);
      return;
    }
    job.taken += items.length;
    job.seen.tokens = Math.min(job.taken, TOKENS);
    job.seen.complete = items.some((item) => "done" in item) || job.seen.complete;
    send(response, { status: statusOf(job, age(job)), stream: items.map((output) => ({ output })) });
  };

  const status = (job: Job, response: ServerResponse) => {
    const state = statusOf(job, age(job));
    const hasResult = state === "COMPLETED" && job.fault.kind !== "cut";
    if (hasResult) job.seen.complete = true;
    send(response, {
      id: job.id,
      status: state,
      ...(state === "FAILED" && { error: failureOf(job) }),
      ...(hasResult && { output: [doneItem(job, mark)] }),
    });
  };

  const cancel = (job: Job, response: ServerResponse) => {
    if (!isFinal(job, age(job))) job.seen.abandonedAtMs = performance.now();
    send(response, { id: job.id, status: statusOf(job, age(job)) });
  };

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await readJson(request);
    const [, , , operation = "", id = ""] = (request.url ?? "").split("/");
    if (request.headers.authorization !== `Bearer ${RUNPOD_KEY}`)
      return sendJson(response, problem(401, "unauthorized"));
    const route = `${request.method} ${operation}`;
    if (route === "POST run") return run(body, response);
    const job = jobs.get(decodeURIComponent(id));
    if (!job) return sendJson(response, problem(404, "job not found"));
    if (route === "GET stream") return stream(job, response);
    if (route === "GET status") return status(job, response);
    if (route === "POST cancel") return cancel(job, response);
    return sendJson(response, problem(404, "not found"));
  };

  const server = await listen("faulty RunPod", 0, (request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  const provider: FaultyProvider = {
    url: `${server.url}/v2/failover`,
    requests: [],
    play: (next) => {
      script = next;
      valid = 0;
      provider.requests.length = 0;
    },
    close: async () => {
      closing.abort();
      await server.close();
    },
  };
  return provider;
}

/** RunPod's own errors: a status and one string (source: `local/runpod/jobApi/problem.ts`, from RunPod's answers). */
const errors: Record<Exclude<VendorError, "context_too_long" | "filtered">, WireError> = {
  rate_limited: problem(429, "too many run requests"),
  server_error: problem(500, "internal server error"),
  overloaded: problem(503, "service unavailable"),
};

function problem(status: number, error: string): WireError {
  return { status, body: { error } };
}

/** Number of tokens that the worker has written after `ageMs`. */
function tokensAfter({ fault }: Job, ageMs: number): number {
  if (fault.kind === "silent" || fault.kind === "filtered" || fault.kind === "refuse") return 0;
  const delayMs = fault.kind === "slow" ? fault.firstTextMs : 0;
  const written = Math.max(0, Math.floor((ageMs - delayMs) / TOKEN_PAUSE_MS));
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

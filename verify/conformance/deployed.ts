import type { Answer } from "../../contract/compatibility";
import { streamed } from "../../contract/compatibility";
import type { Fixture } from "../../contract/fixtures";

/** A deployed endpoint. */
export interface Endpoint {
  /** Base of its job API, such as `https://api.runpod.ai/v2/<id>`. */
  url: string;
  /** Value of the `Authorization` header. */
  authorization: string;
}

const CALL_TIMEOUT_MS = 120_000;
const POLL_EVERY_MS = 200;
const FINAL = ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"];

/**
 * Sends a fixture's request as its clients do: what is streamed by `/run`, `/stream` and `/status`, the rest by
 * `/runsync`, and OpenAI's by the OpenAI route.
 *
 * @param limitMs of the whole request, waiting in the queue included
 * @throws Error when there is no answer in time, or not one that the job API gives
 */
export function ask(endpoint: Endpoint, fixture: Fixture, limitMs: number): Promise<Answer> {
  const signal = AbortSignal.timeout(limitMs);
  if (!("input" in fixture)) return askOpenAi(endpoint, fixture, signal);
  return streamed(fixture) ? askStream(endpoint, fixture.input, signal) : askAtOnce(endpoint, fixture.input, signal);
}

/** Waits until a worker of the endpoint answers, a cold start included. @throws Error when it does not in time */
export async function warmUp(endpoint: Endpoint, limitMs: number): Promise<void> {
  const input = { openai_route: "/v1/models", openai_input: {} };
  const { error } = await askAtOnce(endpoint, input, AbortSignal.timeout(limitMs));
  // A worker that does not know the route is warm as well: what it says to it is the fixtures' business.
  if (error === undefined || typeof error === "string") return;
  throw new Error(`${endpoint.url}: the first job did not succeed`);
}

interface JobBody {
  id: string;
  status: string;
  output?: unknown;
  error?: unknown;
}

async function askAtOnce(endpoint: Endpoint, input: unknown, signal: AbortSignal): Promise<Answer> {
  let job = await call<JobBody>(endpoint, "/runsync?wait=90000", signal, { input });
  while (!FINAL.includes(job.status)) {
    await pause(signal);
    job = await call<JobBody>(endpoint, `/status/${job.id}`, signal);
  }
  return answerOf(job, job.output);
}

async function askStream(endpoint: Endpoint, input: unknown, signal: AbortSignal): Promise<Answer> {
  const { id } = await call<JobBody>(endpoint, "/run", signal, { input });
  const items: unknown[] = [];
  for (;;) {
    const { status, stream } = await call<{ status: string; stream: { output: unknown }[] }>(
      endpoint,
      `/stream/${id}`,
      signal,
    );
    items.push(...stream.map(({ output }) => output));
    if (FINAL.includes(status) && stream.length === 0) break;
    await pause(signal);
  }
  const job = await call<JobBody>(endpoint, `/status/${id}`, signal);
  return { ...answerOf(job, items), kept: job.output };
}

function answerOf({ status, error }: JobBody, items: unknown): Answer {
  if (status !== "COMPLETED") return { items: [], error: error ?? status };
  return { items: Array.isArray(items) ? items : [items] };
}

async function askOpenAi(
  endpoint: Endpoint,
  { route, body }: { route: string; body?: unknown },
  signal: AbortSignal,
): Promise<Answer> {
  const response = await send(endpoint, `/openai${route}`, signal, body);
  const text = await response.text();
  if (!response.ok) return { items: [], error: text };
  const isStream = response.headers.get("content-type")?.includes("text/event-stream");
  return { items: [isStream ? text : JSON.parse(text)] };
}

async function call<T>(endpoint: Endpoint, path: string, signal: AbortSignal, body?: unknown): Promise<T> {
  const response = await send(endpoint, path, signal, body);
  if (!response.ok) throw new Error(`${path.replace(/[?].*/, "")} answered ${response.status}`);
  return (await response.json()) as T;
}

function send({ url, authorization }: Endpoint, path: string, signal: AbortSignal, body?: unknown): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
  }).catch((error: Error & { cause?: NodeJS.ErrnoException }) => {
    // Fetch says why only in the cause.
    throw error.cause ? new Error(`${url} cannot be reached: ${error.cause.code ?? error.cause.message}`) : error;
  });
}

function pause(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
}

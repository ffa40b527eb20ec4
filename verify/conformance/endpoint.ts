import { type Answer, requestsStream } from "../../contract/compatibility";
import type { Fixture } from "../../contract/fixtures";

/** A deployed RunPod endpoint. */
export interface Endpoint {
  /** Base URL of the endpoint's job API, such as `https://api.runpod.ai/v2/<id>`. */
  url: string;
  /** Value of the `Authorization` header. */
  authorization: string;
}

const CALL_TIMEOUT_MS = 120_000;
const POLL_EVERY_MS = 200;
const FINAL_STATUSES = ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"];

/**
 * Sends a fixture's request like a real client. A streamed job uses `/run`, `/stream` and `/status`. Any other job uses
 * `/runsync`. An OpenAI request uses the OpenAI route.
 *
 * @param limitMs time limit of the whole request, including the wait in the queue
 * @throws Error when no answer arrives in time, or when the endpoint does not answer like RunPod's job API
 */
export function sendFixture(endpoint: Endpoint, fixture: Fixture, limitMs: number): Promise<Answer> {
  const signal = AbortSignal.timeout(limitMs);
  if (!("input" in fixture)) return sendOpenAi(endpoint, fixture, signal);
  const send = requestsStream(fixture) ? runStreamedJob : runJob;
  return send(endpoint, fixture.input, signal);
}

/**
 * Waits until a worker of the endpoint answers. The wait includes a cold start.
 *
 * @throws Error when no worker answers within `limitMs`
 */
export async function waitForWorker(endpoint: Endpoint, limitMs: number): Promise<void> {
  const input = { openai_route: "/v1/models", openai_input: {} };
  const { error } = await runJob(endpoint, input, AbortSignal.timeout(limitMs));
  // An error text from the worker also proves that the worker runs. The fixtures check its answers.
  if (error === undefined || typeof error === "string") return;
  throw new Error(`${endpoint.url}: the first job failed. The worker's log contains the reason`);
}

interface JobBody {
  id: string;
  status: string;
  output?: unknown;
  error?: unknown;
}

async function runJob(endpoint: Endpoint, input: unknown, signal: AbortSignal): Promise<Answer> {
  let job = await callJobApi<JobBody>(endpoint, "/runsync?wait=90000", signal, { input });
  while (!FINAL_STATUSES.includes(job.status)) {
    await pause(signal);
    job = await callJobApi<JobBody>(endpoint, `/status/${job.id}`, signal);
  }
  return toAnswer(job, job.output);
}

async function runStreamedJob(endpoint: Endpoint, input: unknown, signal: AbortSignal): Promise<Answer> {
  const { id } = await callJobApi<JobBody>(endpoint, "/run", signal, { input });
  const items: unknown[] = [];
  for (;;) {
    const { status, stream } = await callJobApi<{ status: string; stream: { output: unknown }[] }>(
      endpoint,
      `/stream/${id}`,
      signal,
    );
    items.push(...stream.map(({ output }) => output));
    if (FINAL_STATUSES.includes(status) && stream.length === 0) break;
    await pause(signal);
  }
  const job = await callJobApi<JobBody>(endpoint, `/status/${id}`, signal);
  return { ...toAnswer(job, items), storedItems: job.output };
}

function toAnswer({ status, error }: JobBody, items: unknown): Answer {
  if (status !== "COMPLETED") return { items: [], error: error ?? status };
  return { items: Array.isArray(items) ? items : [items] };
}

async function sendOpenAi(
  endpoint: Endpoint,
  { route, body }: { route: string; body?: unknown },
  signal: AbortSignal,
): Promise<Answer> {
  const response = await request(endpoint, `/openai${route}`, signal, body);
  const text = await response.text();
  if (!response.ok) return { items: [], error: text };
  const isStream = response.headers.get("content-type")?.includes("text/event-stream");
  return { items: [isStream ? text : JSON.parse(text)] };
}

async function callJobApi<T>(endpoint: Endpoint, path: string, signal: AbortSignal, body?: unknown): Promise<T> {
  const response = await request(endpoint, path, signal, body);
  if (!response.ok) throw new Error(`${endpoint.url}${path.replace(/[?].*/, "")} returned HTTP ${response.status}`);
  return (await response.json()) as T;
}

function request(
  { url, authorization }: Endpoint,
  path: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
  }).catch((error: Error & { cause?: NodeJS.ErrnoException }) => {
    // The error of fetch contains only "fetch failed". Its cause contains the reason.
    throw error.cause ? new Error(`${url} cannot be reached: ${error.cause.code ?? error.cause.message}`) : error;
  });
}

function pause(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
}

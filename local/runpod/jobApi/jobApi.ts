import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { stream } from "hono/streaming";
import * as z from "zod";
import { isFinal, type Job, type JobPolicy, jobView } from "../jobs/jobs";
import { mayCall, presentedKey, type RunpodKey } from "../keys";
import { problem } from "../problem";
import type { EndpointRuntime } from "./endpoints";
import { type LimitedOperation, RateLimits } from "./rateLimits";

const MIB = 2 ** 20;
/** `/stream` waits this long for news. RunPod waits about 10 s, exactly the time-out of its own Python client. */
const STREAM_WAIT_MS = 5_000;
const DEFAULT_SYNC_WAIT_MS = 90_000;

const Submission = z.object({
  input: z.record(z.string(), z.unknown()),
  webhook: z.url().optional(),
  policy: z
    .object({
      executionTimeout: z.int().min(5_000).max(604_800_000),
      ttl: z.int().min(10_000).max(604_800_000),
      lowPriority: z.boolean(),
    })
    .partial()
    .optional(),
});

type Env = { Variables: { endpoint: EndpointRuntime } };

/**
 * The job API of `api.runpod.ai/v2/<endpoint>`: run, runsync, status, status-sync, stream, cancel, retry, purge-queue,
 * health and the OpenAI passthrough.
 */
export function jobApi(options: {
  keys: RunpodKey[];
  find(endpointId: string): EndpointRuntime | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
}) {
  const app = new Hono<Env>();
  const limits = new WeakMap<EndpointRuntime, RateLimits>();

  const authenticated = createMiddleware<Env>(async (c, next) => {
    const presented = presentedKey(c.req.raw);
    const key = options.keys.find(({ key }) => key === presented);
    const endpoint = options.find(c.req.param("endpoint") ?? "");
    if (!key || !mayCall(key, endpoint?.name)) return problem(c, 401, "unauthorized");
    if (!endpoint) return problem(c, 404, "endpoint not found");
    // A load balancer has no queue; its health is told all the same.
    if (endpoint.type === "LB" && !c.req.path.endsWith("/health"))
      return c.json({ error: "not allowed for QB API" }, 400);
    c.set("endpoint", endpoint);
    return next();
  });

  const limited = (operation: LimitedOperation) =>
    createMiddleware<Env>(async (c, next) => {
      const endpoint = c.get("endpoint");
      const counter = limits.get(endpoint) ?? new RateLimits(options.now);
      limits.set(endpoint, counter);
      const leave = counter.enter(operation);
      if (!leave) return problem(c, 429, `too many ${operation} requests`);
      try {
        return await next();
      } finally {
        leave();
      }
    });

  const maxBody = (mib: number) =>
    bodyLimit({
      maxSize: mib * MIB,
      onError: (c) => problem(c, 400, `bad request: body: exceeded max body size of ${mib}MiB`),
    });

  app.use("/:endpoint/*", authenticated);

  app.post("/:endpoint/run", limited("run"), maxBody(10), async (c) => {
    const submission = await readSubmission(c);
    if (submission instanceof Response) return submission;
    const { id, status } = c.get("endpoint").queue.submit({ ...submission, sync: false });
    return c.json({ id, status });
  });

  app.post("/:endpoint/runsync", limited("runsync"), maxBody(20), async (c) => {
    const submission = await readSubmission(c);
    if (submission instanceof Response) return submission;
    const job = c.get("endpoint").queue.submit({ ...submission, sync: true, askedWaitMs: waitMs(c, 0) });
    return c.json(jobView(await ended(c, job)));
  });

  app.get("/:endpoint/status/:job", limited("status"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    const ttlMs = Number(c.req.query("ttl"));
    if (ttlMs > 0) c.get("endpoint").queue.forgetAfter(job, ttlMs);
    return c.json(jobView(job));
  });

  app.get("/:endpoint/status-sync/:job", limited("status"), async (c) => {
    const job = findJob(c);
    return job ? c.json(jobView(await ended(c, job))) : notFound(c);
  });

  app.get("/:endpoint/stream/:job", limited("stream"), async (c) => {
    if (!findJob(c)) return notFound(c);
    const { queue } = c.get("endpoint");
    const news = () => {
      const job = findJob(c);
      return !job || job.chunks.length > 0 || isFinal(job.status) ? { job } : undefined;
    };
    await queue.changed.until(news, waitMs(c, STREAM_WAIT_MS), c.req.raw.signal);
    const job = findJob(c);
    if (!job) return notFound(c);
    // A client that hung up must not take chunks with it.
    const chunks = c.req.raw.signal.aborted ? [] : queue.drain(job);
    return c.json({ status: job.status, stream: chunks.map((output) => ({ output })) });
  });

  app.post("/:endpoint/cancel/:job", limited("cancel"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    c.get("endpoint").queue.cancel(job);
    return c.json({ id: job.id, status: job.status });
  });

  app.post("/:endpoint/retry/:job", limited("run"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    if (!c.get("endpoint").queue.retry(job))
      return problem(c, 400, `bad request: only FAILED or TIMED_OUT jobs can be retried, this one is ${job.status}`);
    return c.json({ id: job.id, status: "IN_QUEUE" });
  });

  app.post("/:endpoint/purge-queue", limited("purge-queue"), (c) =>
    c.json({ removed: c.get("endpoint").queue.purge(), status: "completed" }),
  );

  app.get("/:endpoint/health", (c) => {
    const { queue, fleet } = c.get("endpoint");
    return c.json({ jobs: queue.counts(), workers: fleet.counts() });
  });

  app.all("/:endpoint/openai/*", limited("openai"), maxBody(20), async (c) => {
    const body = c.req.method === "GET" ? undefined : await c.req.json().catch(() => null);
    if (body === null) return problem(c, 400, "bad request: body: must be JSON");
    const { queue } = c.get("endpoint");
    const route = c.req.path.slice(c.req.path.indexOf("/openai/") + "/openai".length);
    const input = { openai_route: route, openai_input: body ?? {} };
    const job = queue.submit({ input, policy: policyOf(c, undefined), sync: true });
    c.req.raw.signal.addEventListener("abort", () => queue.cancel(job));
    if (body?.stream === true) return openAiStream(c, job);
    const final = await ended(c, job);
    // Cloudflare, which stands before RunPod, waits no longer.
    if (!isFinal(final.status)) return c.html("error code: 524", 524 as 504);
    if (final.status !== "COMPLETED") return openAiFailure(c, final);
    return c.json(Array.isArray(final.output) && final.output.length === 1 ? final.output[0] : final.output);
  });

  return app;
}

/** What the job asks for; else the endpoint's own time limit, where 0 is none (RunPod's ceiling of 7 days). */
function policyOf(c: Context<Env>, asked: z.infer<typeof Submission>["policy"]): JobPolicy {
  return {
    executionTimeout: asked?.executionTimeout ?? (c.get("endpoint").executionTimeoutMs || 604_800_000),
    ttl: asked?.ttl ?? 86_400_000,
    lowPriority: asked?.lowPriority ?? false,
  };
}

async function readSubmission(c: Context<Env>) {
  const parsed = Submission.safeParse(await c.req.json().catch(() => undefined));
  if (parsed.success) {
    const { input, webhook, policy } = parsed.data;
    return { input, policy: policyOf(c, policy), ...(webhook && { webhook }) };
  }
  const issue = parsed.error.issues[0];
  return problem(c, 400, `bad request: ${issue?.path.join(".") || "body"}: ${issue?.message ?? "invalid"}`);
}

function findJob(c: Context<Env>): Job | undefined {
  return c.get("endpoint").queue.get(c.req.param("job") ?? "");
}

/** Waits for the job's end as long as the client asked, and gives its latest state. */
async function ended(c: Context<Env>, job: Job): Promise<Job> {
  const { queue } = c.get("endpoint");
  const read = () => {
    const latest = queue.get(job.id) ?? job;
    return isFinal(latest.status) ? latest : undefined;
  };
  return (
    (await queue.changed.until(read, waitMs(c, DEFAULT_SYNC_WAIT_MS), c.req.raw.signal)) ?? queue.get(job.id) ?? job
  );
}

/** `?wait=` in milliseconds, brought into RunPod's range. */
function waitMs(c: Context<Env>, fallbackMs: number): number {
  const asked = Number(c.req.query("wait") ?? Number.NaN);
  return Number.isFinite(asked) ? Math.min(Math.max(asked, 1_000), 300_000) : fallbackMs;
}

/**
 * The worker's chunks as one SSE body: text goes through as it is, anything else becomes a `data:` line. A job that fails
 * just ends it: nothing documents that RunPod adds an event, so it is the worker's to have sent one.
 */
function openAiStream(c: Context<Env>, job: Job) {
  const { queue } = c.get("endpoint");
  c.header("content-type", "text/event-stream");
  return stream(c, async (body) => {
    for (;;) {
      const latest = await queue.changed.until(
        () => {
          const one = queue.get(job.id) ?? job;
          return one.chunks.length > 0 || isFinal(one.status) ? one : undefined;
        },
        DEFAULT_SYNC_WAIT_MS,
        c.req.raw.signal,
      );
      if (!latest || body.aborted) return;
      const chunks = queue.drain(latest);
      for (const chunk of chunks)
        await body.write(typeof chunk === "string" ? chunk : `data: ${JSON.stringify(chunk)}\n\n`);
      if (chunks.length === 0 && isFinal(latest.status)) return;
    }
  });
}

/**
 * A failed job is a 500, whatever the worker's error (seen in worker-vllm's issue 104; a job that completes with an error
 * in its output is a 200, issue 57). The body is not documented; here it is the worker's own where that is JSON.
 */
function openAiFailure(c: Context<Env>, { error, status }: Job) {
  if (error?.startsWith("{")) return c.body(error, 500, { "content-type": "application/json" });
  return c.json({ error: { message: error ?? status, type: "server_error", param: null, code: status } }, 500);
}

function notFound(c: Context<Env>) {
  return problem(c, 404, "job not found");
}

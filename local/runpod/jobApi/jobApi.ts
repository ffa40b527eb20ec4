import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import * as z from "zod";
import { mayCall, presentedKey, type RunpodKey } from "../apiKeys";
import { isFinal, type Job, jobView } from "../jobs/jobQueue";
import type { EndpointRuntime } from "./endpoints";
import { addOpenAiRoute } from "./openAiRoute";
import { problem } from "./problem";
import { RateLimits } from "./rateLimits";
import { type Env, MAX_EXECUTION_MS, MIB, policyOf, type RouteLimits, readJson, waitForEnd, waitMs } from "./requests";

/**
 * Maximum wait of `/stream`. RunPod waits about 10 s. The double waits less, because RunPod's Python client times out
 * after exactly 10 s.
 */
const STREAM_WAIT_MS = 5_000;

const Submission = z.object({
  input: z.record(z.string(), z.unknown()),
  webhook: z.url().optional(),
  policy: z
    .object({
      executionTimeout: z.int().min(5_000).max(MAX_EXECUTION_MS),
      ttl: z.int().min(10_000).max(604_800_000),
      lowPriority: z.boolean(),
    })
    .partial()
    .optional(),
});

interface JobApiOptions {
  keys: RunpodKey[];
  find(endpointId: string): EndpointRuntime | undefined;
  /** Returns milliseconds since the epoch. */
  now: () => number;
}

/**
 * Job API of `api.runpod.ai/v2/<endpoint>`: run, runsync, status, status-sync, stream, cancel, retry, purge-queue,
 * health and the OpenAI route.
 */
export function jobApi(options: JobApiOptions): Hono<Env> {
  const app = new Hono<Env>();
  const limits: RouteLimits = { rate: rateLimiter(options.now), bodySize: limitBodySize };
  app.use("/:endpoint/*", authenticated(options));
  addSubmitRoutes(app, limits);
  addJobRoutes(app, limits);
  addQueueRoutes(app, limits);
  addOpenAiRoute(app, limits);
  return app;
}

function authenticated({ keys, find }: JobApiOptions) {
  return createMiddleware<Env>(async (c, next) => {
    const presented = presentedKey(c.req.raw);
    const key = keys.find(({ key }) => key === presented);
    const endpoint = find(c.req.param("endpoint") ?? "");
    if (!key || !mayCall(key, endpoint?.name)) return problem(c, 401, "unauthorized");
    if (!endpoint) return problem(c, 404, "endpoint not found");
    // A load balancer has no queue, so only `/health` is available.
    if (endpoint.type === "LB" && !c.req.path.endsWith("/health"))
      return c.json({ error: "not allowed for QB API" }, 400);
    c.set("endpoint", endpoint);
    return next();
  });
}

function rateLimiter(now: () => number): RouteLimits["rate"] {
  const limits = new WeakMap<EndpointRuntime, RateLimits>();
  return (operation) =>
    createMiddleware<Env>(async (c, next) => {
      const endpoint = c.get("endpoint");
      const counter = limits.get(endpoint) ?? new RateLimits(now);
      limits.set(endpoint, counter);
      const leave = counter.enter(operation);
      if (!leave) return problem(c, 429, `too many ${operation} requests`);
      try {
        return await next();
      } finally {
        leave();
      }
    });
}

function limitBodySize(mib: number) {
  return bodyLimit({
    maxSize: mib * MIB,
    onError: (c) => problem(c, 400, `bad request: body: exceeded max body size of ${mib}MiB`),
  });
}

function addSubmitRoutes(app: Hono<Env>, limits: RouteLimits): void {
  app.post("/:endpoint/run", limits.rate("run"), limits.bodySize(10), async (c) => {
    const submission = await readSubmission(c);
    if (submission instanceof Response) return submission;
    const { id, status } = c.get("endpoint").queue.submit({ ...submission, sync: false });
    return c.json({ id, status });
  });

  app.post("/:endpoint/runsync", limits.rate("runsync"), limits.bodySize(20), async (c) => {
    const submission = await readSubmission(c);
    if (submission instanceof Response) return submission;
    const job = c.get("endpoint").queue.submit({ ...submission, sync: true, waitMs: waitMs(c, 0) });
    return c.json(jobView(await waitForEnd(c, job)));
  });
}

function addJobRoutes(app: Hono<Env>, limits: RouteLimits): void {
  app.get("/:endpoint/status/:job", limits.rate("status"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    const ttlMs = Number(c.req.query("ttl"));
    if (ttlMs > 0) c.get("endpoint").queue.deleteAfter(job, ttlMs);
    return c.json(jobView(job));
  });

  app.get("/:endpoint/status-sync/:job", limits.rate("status"), async (c) => {
    const job = findJob(c);
    return job ? c.json(jobView(await waitForEnd(c, job))) : notFound(c);
  });

  app.get("/:endpoint/stream/:job", limits.rate("stream"), async (c) => {
    if (!findJob(c)) return notFound(c);
    const { queue } = c.get("endpoint");
    const readNews = () => {
      const job = findJob(c);
      return !job || job.chunks.length > 0 || isFinal(job.status) ? { job } : undefined;
    };
    await queue.changed.waitFor(readNews, waitMs(c, STREAM_WAIT_MS), c.req.raw.signal);
    const job = findJob(c);
    if (!job) return notFound(c);
    // A request must not remove chunks after its client has closed the connection.
    const chunks = c.req.raw.signal.aborted ? [] : queue.takeChunks(job);
    return c.json({ status: job.status, stream: chunks.map((output) => ({ output })) });
  });

  app.post("/:endpoint/cancel/:job", limits.rate("cancel"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    c.get("endpoint").queue.cancel(job);
    return c.json({ id: job.id, status: job.status });
  });

  app.post("/:endpoint/retry/:job", limits.rate("run"), (c) => {
    const job = findJob(c);
    if (!job) return notFound(c);
    if (!c.get("endpoint").queue.retry(job))
      return problem(c, 400, `bad request: only FAILED or TIMED_OUT jobs can be retried, this one is ${job.status}`);
    return c.json({ id: job.id, status: "IN_QUEUE" });
  });
}

function addQueueRoutes(app: Hono<Env>, limits: RouteLimits): void {
  app.post("/:endpoint/purge-queue", limits.rate("purge-queue"), (c) =>
    c.json({ removed: c.get("endpoint").queue.purge(), status: "completed" }),
  );

  app.get("/:endpoint/health", (c) => {
    const { queue, fleet } = c.get("endpoint");
    return c.json({ jobs: queue.counts(), workers: fleet.counts() });
  });
}

async function readSubmission(c: Context<Env>) {
  const parsed = Submission.safeParse(await readJson(c));
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

function notFound(c: Context) {
  return problem(c, 404, "job not found");
}

import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import type { Switches } from "../account/switches";
import { presentedKey } from "../apiKeys";
import type { Job } from "../jobs/jobQueue";
import type { EndpointRuntime } from "./endpoints";
import { problem } from "./problem";
import { replyFaultOf, worsenItem, worsenResult } from "./replyFaults";
import { type Env, MIB } from "./requests";

/** Maximum wait of a worker's request for jobs. The SDK gives up after 90 s. */
const TAKE_WAIT_MS = 20_000;
/** Delay of the response to a worker that gets no more jobs. Without this delay the SDK would ask again at once. */
const DRAINING_WAIT_MS = 1_000;
const MAX_CHUNK_BYTES = MIB;
const MAX_RESULT_BYTES = 20 * MIB;

/**
 * Part of the job API that workers call, for runpod-python 1.12: job-take, job-take-batch, job-stop, ping, job-done and
 * job-stream. Bodies are JSON, with any content type.
 */
export function workerApi(options: { find(endpointId: string): EndpointRuntime | undefined; switches: Switches }) {
  const app = new Hono<Env>();
  const faultOf = (c: Context<Env>) => replyFaultOf(options.switches, c.get("endpoint").name);

  const authenticated = createMiddleware<Env>(async (c, next) => {
    const endpoint = options.find(c.req.param("endpoint") ?? "");
    if (!endpoint || presentedKey(c.req.raw) !== endpoint.aiKey) return problem(c, 401, "unauthorized");
    c.set("endpoint", endpoint);
    return next();
  });
  for (const path of ["job-take", "job-take-batch", "job-stop", "ping", "job-done", "job-stream"])
    app.use(`/:endpoint/${path}/*`, authenticated);

  app.get("/:endpoint/job-take/:worker", async (c) => {
    const [job] = await take(c, 1);
    return job ? c.json(jobForWorker(job)) : c.body(null, 204);
  });

  app.get("/:endpoint/job-take-batch/:worker", async (c) => {
    const jobs = await take(c, Math.max(1, Number(c.req.query("batch_size")) || 1));
    return jobs.length > 0 ? c.json(jobs.map(jobForWorker)) : c.body(null, 204);
  });

  app.get("/:endpoint/job-stop/:worker", async (c) => {
    const { queue, fleet } = c.get("endpoint");
    const worker = c.req.param("worker");
    const readRequests = () => queue.takeStopRequests(worker) ?? (fleet.isStopping(worker) ? [] : undefined);
    const jobsToStop = await queue.changed.waitFor(readRequests, TAKE_WAIT_MS, c.req.raw.signal);
    return jobsToStop?.length ? c.json({ jobsToStop }) : c.body(null, 204);
  });

  app.get("/:endpoint/ping/:worker", (c) => {
    const { queue, fleet } = c.get("endpoint");
    const worker = c.req.param("worker");
    if (c.req.query("status") === "unhealthy") fleet.reportFailedCheck(worker, c.req.query("check") ?? "unknown check");
    // A worker without a job sends no `job_id`.
    else queue.workerPinged(worker, (c.req.query("job_id") ?? "").split(","));
    return c.json({ status: "ok" });
  });

  app.post("/:endpoint/job-done/:worker/:job", async (c) => {
    const body = await readReport(c, MAX_RESULT_BYTES);
    if (body instanceof Response) return body;
    const { queue, fleet } = c.get("endpoint");
    const id = c.req.param("job");
    if (body.status === "IN_PROGRESS") queue.setProgress(id, body.output);
    else queue.finish(id, worsenResult(body, faultOf(c)));
    if (body.stopPod === true) fleet.refresh(c.req.param("worker"));
    return c.json({ status: "ok" });
  });

  app.post("/:endpoint/job-stream/:worker/:job", async (c) => {
    const body = await readReport(c, MAX_CHUNK_BYTES);
    if (body instanceof Response) return body;
    const { queue } = c.get("endpoint");
    const id = c.req.param("job");
    const item = await worsenItem(body.output, faultOf(c), queue.get(id)?.streamed === false);
    if (item !== undefined) queue.addChunk(id, item);
    return c.json({ status: "ok" });
  });

  return app;
}

async function take(c: Context<Env>, count: number): Promise<Job[]> {
  const { queue, fleet } = c.get("endpoint");
  const worker = c.req.param("worker") ?? "";
  fleet.ready(worker);
  const takeJobs = () => {
    if (!fleet.mayTake(worker)) return [];
    const jobs = queue.take(worker, count);
    return jobs.length > 0 ? jobs : undefined;
  };
  const jobs = (await queue.changed.waitFor(takeJobs, TAKE_WAIT_MS, c.req.raw.signal)) ?? [];
  if (jobs.length === 0 && !fleet.mayTake(worker))
    await queue.changed.waitFor(() => fleet.isStopping(worker) || undefined, DRAINING_WAIT_MS, c.req.raw.signal);
  return jobs;
}

function jobForWorker({ id, input, webhook }: Job) {
  return { id, input, ...(webhook && { webhook }) };
}

interface Report {
  output?: unknown;
  error?: unknown;
  status?: unknown;
  stopPod?: unknown;
}

async function readReport(c: Context<Env>, maxBytes: number): Promise<Report | Response> {
  const text = await c.req.text();
  if (Buffer.byteLength(text) > maxBytes)
    return problem(c, 400, `bad request: body: exceeded max body size of ${maxBytes / MIB}MiB`);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) return body;
  } catch {
    // Invalid JSON and JSON that is not an object get the same response.
  }
  return problem(c, 400, "bad request: body: must be a JSON object");
}

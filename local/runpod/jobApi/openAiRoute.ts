import type { Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { isFinal, type Job } from "../jobs/jobQueue";
import { problem } from "./problem";
import { DEFAULT_SYNC_WAIT_MS, type Env, policyOf, type RouteLimits, readJson, waitForEnd } from "./requests";

/** Adds `/:endpoint/openai/*`: each request becomes a job with `openai_route` and `openai_input`. */
export function addOpenAiRoute(app: Hono<Env>, limits: RouteLimits): void {
  app.all("/:endpoint/openai/*", limits.rate("openai"), limits.bodySize(20), async (c) => {
    const body = c.req.method === "GET" ? {} : await readJson(c);
    if (body === undefined || body === null) return problem(c, 400, "bad request: body: must be JSON");
    const { queue } = c.get("endpoint");
    const route = c.req.path.slice(c.req.path.indexOf("/openai/") + "/openai".length);
    const input = { openai_route: route, openai_input: body };
    const job = queue.submit({ input, policy: policyOf(c), sync: true });
    c.req.raw.signal.addEventListener("abort", () => queue.cancel(job));
    if ((body as { stream?: unknown }).stream === true) return streamChunks(c, job);
    const ended = await waitForEnd(c, job);
    // Cloudflare, the proxy in front of RunPod, sends this response after its time limit.
    if (!isFinal(ended.status)) return c.html("error code: 524", 524 as 504);
    if (ended.status !== "COMPLETED") return failure(c, ended);
    return c.json(Array.isArray(ended.output) && ended.output.length === 1 ? ended.output[0] : ended.output);
  });
}

/**
 * Streams a job's chunks as server-sent events. A string chunk is sent unchanged. Any other chunk becomes a `data:`
 * line. A failed job ends the stream without an error event, because no document says that RunPod adds one.
 */
function streamChunks(c: Context<Env>, job: Job) {
  const { queue } = c.get("endpoint");
  const readNews = () => {
    const latest = queue.get(job.id) ?? job;
    return latest.chunks.length > 0 || isFinal(latest.status) ? latest : undefined;
  };
  c.header("content-type", "text/event-stream");
  return stream(c, async (body) => {
    for (;;) {
      const latest = await queue.changed.waitFor(readNews, DEFAULT_SYNC_WAIT_MS, c.req.raw.signal);
      if (!latest || body.aborted) return;
      const chunks = queue.takeChunks(latest);
      for (const chunk of chunks)
        await body.write(typeof chunk === "string" ? chunk : `data: ${JSON.stringify(chunk)}\n\n`);
      if (chunks.length === 0 && isFinal(latest.status)) return;
    }
  });
}

/**
 * Responds with status 500 for any failed job (source: issue 104 of worker-vllm). A job that completes with an error in
 * its output gets 200 instead (issue 57). RunPod does not document the body, so the double sends a worker's error that
 * is JSON unchanged. It replaces any other error with an OpenAI error.
 */
function failure(c: Context<Env>, { error, status }: Job) {
  if (error?.startsWith("{")) return c.body(error, 500, { "content-type": "application/json" });
  return c.json({ error: { message: error ?? status, type: "server_error", param: null, code: status } }, 500);
}

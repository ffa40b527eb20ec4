import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import runpodSdk from "runpod-sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { JobQueue } from "../../../local/runpod/jobs/jobQueue";
import { ACCOUNT_KEY, PHI3_KEY, RunpodFixture } from "./fixture";

let runpod: RunpodFixture;
let id: string;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
  ({ id } = await runpod.deploy());
});
afterEach(() => runpod.dispose());

const sdkEndpoint = () => {
  const endpoint = runpodSdk(ACCOUNT_KEY, { baseUrl: runpod.jobApiUrl }).endpoint(id);
  if (!endpoint) throw new Error("The SDK returned no endpoint");
  return endpoint;
};
/** Observes the next request whose path contains `part`. `hungUp` resolves when the request's connection closes. */
function nextRequest(part: string): { arrived: Promise<void>; hungUp: Promise<unknown> } {
  const channel = "http.server.request.start";
  const response = new Promise<ServerResponse>((resolve) => {
    subscribe(channel, function onRequest(message) {
      const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
      if (!request.url?.includes(part)) return;
      unsubscribe(channel, onRequest);
      resolve(response);
    });
  });
  return { arrived: response.then(() => {}), hungUp: response.then((arrived) => once(arrived, "close")) };
}
const submit = async (input: object = { text: "x" }): Promise<string> => (await runpod.json(`${id}/run`, { input })).id;

describe("The npm client", () => {
  it("runs a job, streams its output in order and reads its result", async () => {
    const endpoint = sdkEndpoint();
    const run = await endpoint.run({ input: { text: "こんばんは" } });
    expect(run).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}-u1$/), status: "IN_QUEUE" });

    const work = (async () => {
      const job = await runpod.worker.next();
      expect(job).toEqual({ id: run.id, input: { text: "こんばんは" } });
      for (const delta of ["あら、", "いらっしゃい", "。"]) await runpod.worker.stream(job.id, { delta });
      await runpod.worker.done(job.id, { output: [{ delta: "あら、いらっしゃい。" }] });
    })();
    const items: unknown[] = [];
    for await (const item of endpoint.stream(run.id)) items.push(item);
    await work;
    expect(items).toEqual(["あら、", "いらっしゃい", "。"].map((delta) => ({ output: { delta } })));
    expect(await endpoint.status(run.id)).toMatchObject({
      id: run.id,
      status: "COMPLETED",
      output: [{ delta: "あら、いらっしゃい。" }],
      workerId: runpod.worker.env.RUNPOD_POD_ID,
      delayTime: expect.any(Number),
      executionTime: expect.any(Number),
      succeeded: true,
    });
  });

  it("returns the worker's error when a job of runSync fails", async () => {
    const endpoint = sdkEndpoint();
    const answer = endpoint.runSync({ input: { text: "x" } });
    const job = await runpod.worker.next();
    expect(job.id).toMatch(/^sync-/);
    await runpod.worker.done(job.id, { error: '{"error":{"code":"ticket_missing"}}' });
    expect(await answer).toMatchObject({
      status: "FAILED",
      error: '{"error":{"code":"ticket_missing"}}',
      retries: 0,
      completed: true,
      succeeded: false,
    });
  });

  it("keeps polling when a runSync job takes longer than the wait of one request", async () => {
    const endpoint = sdkEndpoint();
    const short = await runpod.json(`${id}/runsync?wait=1000`, { input: { text: "x" } });
    expect(short).toEqual({ id: expect.stringMatching(/^sync-/), status: "IN_QUEUE" });
    await runpod.worker.next();
    expect(await runpod.json(`${id}/status-sync/${short.id}?wait=1000`)).toMatchObject({ status: "IN_PROGRESS" });
    const { arrived } = nextRequest("/status-sync/sync-");
    const answer = endpoint.runSync({ input: { text: "y" } }, 1_000);
    const late = await runpod.worker.next();
    await arrived;
    await runpod.worker.done(late.id, { output: 1 });
    expect(await answer).toMatchObject({ id: late.id, output: 1, succeeded: true });
  });

  it("cancels a job, purges the queue and reads health", async () => {
    const endpoint = sdkEndpoint();
    const run = await endpoint.run({ input: { text: "x" } });
    expect(await endpoint.cancel(run.id)).toEqual({ id: run.id, status: "CANCELLED" });
    await endpoint.run({ input: { text: "y" } });
    expect(await endpoint.purgeQueue()).toEqual({ removed: 1, status: "completed" });
    expect(await endpoint.health()).toEqual({
      jobs: { completed: 0, failed: 0, inProgress: 0, inQueue: 0, retried: 0 },
      workers: { idle: 0, initializing: 1, ready: 0, running: 0, throttled: 0, unhealthy: 0 },
    });
  });
});

describe("GET /stream", () => {
  it("returns each chunk once, always in an array", async () => {
    const job = await submit();
    await runpod.worker.next();
    await runpod.worker.stream(job, { delta: "a" });
    await runpod.worker.stream(job, { delta: "b" });
    const chunks = [{ output: { delta: "a" } }, { output: { delta: "b" } }];
    expect(await runpod.json(`${id}/stream/${job}`)).toEqual({ status: "IN_PROGRESS", stream: chunks });
    await runpod.worker.done(job, { output: [] });
    expect(await runpod.json(`${id}/stream/${job}`)).toEqual({ status: "COMPLETED", stream: [] });
    expect(await runpod.json(`${id}/stream/${job}`)).toEqual({ status: "COMPLETED", stream: [] });
  });

  it("keeps a chunk for the next request when an earlier client has closed its connection", async () => {
    const job = await submit();
    await runpod.worker.next();
    const hangUp = new AbortController();
    const { arrived, hungUp } = nextRequest(`/stream/${job}`);
    const abandoned = runpod.call(`${id}/stream/${job}`, { signal: hangUp.signal }).catch(() => "hung up");
    await arrived;
    hangUp.abort();
    expect(await abandoned).toBe("hung up");
    await hungUp;

    const waiting = runpod.json(`${id}/stream/${job}`);
    await runpod.worker.stream(job, { delta: "a" });
    expect(await waiting).toEqual({ status: "IN_PROGRESS", stream: [{ output: { delta: "a" } }] });
  });

  it("never returns a chunk over 1 MiB, because the double refuses such a chunk from a worker", async () => {
    const job = await submit();
    await runpod.worker.next();
    expect(await runpod.worker.stream(job, { delta: "x".repeat(2 ** 20) })).toBe(400);
  });
});

describe("A job", () => {
  it("is stopped on its worker by a cancel and ignores a late result", async () => {
    const job = await submit();
    await runpod.worker.next();
    const jobsToStop = runpod.worker.jobsToStop();
    expect(await runpod.json(`${id}/cancel/${job}`, {})).toEqual({ id: job, status: "CANCELLED" });
    expect(await jobsToStop).toEqual([job]);
    await runpod.worker.done(job, { output: "late" });
    const status = await runpod.json(`${id}/status/${job}`);
    expect(status).toMatchObject({ status: "CANCELLED" });
    expect(status).not.toHaveProperty("output");
  });

  it("shows its progress while it runs and ignores progress after its result", async () => {
    const job = await submit();
    await runpod.worker.next();
    await runpod.worker.done(job, { status: "IN_PROGRESS", output: "half" });
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "IN_PROGRESS", output: "half" });
    await runpod.worker.done(job, { output: "whole" });
    await runpod.worker.done(job, { status: "IN_PROGRESS", output: "late" });
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "COMPLETED", output: "whole" });
  });

  it("can be retried under the same id only after it has failed", async () => {
    const job = await submit();
    expect((await runpod.call(`${id}/retry/${job}`, { method: "POST" })).status).toBe(400);
    await runpod.worker.next();
    await runpod.worker.done(job, { output: "partial", error: "boom" });
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "FAILED", error: "boom" });
    expect(await runpod.json(`${id}/retry/${job}`, {})).toEqual({ id: job, status: "IN_QUEUE" });
    expect(await runpod.json(`${id}/status/${job}`)).toEqual({ id: job, status: "IN_QUEUE" });
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("fails when its input is empty", async () => {
    const empty = await submit({});
    const full = await submit();
    expect((await runpod.worker.next()).id).toBe(full);
    expect(await runpod.json(`${id}/status/${empty}`)).toMatchObject({ status: "FAILED" });
  });

  it("is not given to a worker whose connection has closed", async () => {
    const hangUp = new AbortController();
    const { hungUp } = nextRequest("/job-take/");
    const abandoned = runpod.worker.take(1, hangUp.signal).catch(() => "gave up");
    await vi.waitFor(async () => expect((await runpod.json(`${id}/health`)).workers.idle).toBe(1));
    hangUp.abort();
    expect(await abandoned).toBe("gave up");
    await hungUp;
    const job = await submit();
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("is taken in a batch with other jobs, and the oldest job comes first", async () => {
    const jobs = [await submit(), await submit(), await submit()];
    expect((await runpod.worker.take(2)).map((job) => job.id)).toEqual(jobs.slice(0, 2));
    expect((await runpod.worker.take(2)).map((job) => job.id)).toEqual(jobs.slice(2));
  });

  it("is posted to its webhook when it ends", async () => {
    const received = new Promise<string>((resolve) => {
      const server = createServer((request, response) => {
        let text = "";
        request.on("data", (data) => {
          text += data;
        });
        request.on("end", () => {
          response.end();
          server.close();
          resolve(text);
        });
      }).listen(0, "127.0.0.1", async () => {
        const webhook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
        await runpod.json(`${id}/run`, { input: { text: "x" }, webhook });
        await runpod.worker.done((await runpod.worker.next()).id, { output: "bye" });
      });
    });
    expect(JSON.parse(await received)).toMatchObject({ status: "COMPLETED", output: "bye", input: { text: "x" } });
  });
});

describe("JobQueue", () => {
  const policy = { executionTimeout: 60_000, ttl: 3_600_000, lowPriority: false };
  let now = 0;
  const newQueue = () => {
    now = 0;
    return new JobQueue(
      () => undefined,
      () => now,
    );
  };

  it("keeps the result of /run for 30 minutes and the result of /runsync for one minute", () => {
    const queue = newQueue();
    const slow = queue.submit({ input: { text: "x" }, policy, sync: false });
    const quick = queue.submit({ input: { text: "x" }, policy, sync: true });
    for (const job of queue.take("w", 2)) queue.finish(job.id, { output: 1 });
    now = 59_999;
    expect(queue.get(quick.id)).toBeDefined();
    now = 60_000;
    expect(queue.get(quick.id)).toBeUndefined();
    now = 30 * 60_000 - 1;
    expect(queue.get(slow.id)).toBeDefined();
    now = 30 * 60_000;
    expect(queue.get(slow.id)).toBeUndefined();
  });

  it("stops a job on its worker when the job times out", () => {
    const queue = newQueue();
    const job = queue.submit({ input: { text: "x" }, policy, sync: false });
    queue.take("w", 1);
    now = 60_000;
    expect(queue.get(job.id)).toMatchObject({ status: "TIMED_OUT", error: "executionTimeout exceeded" });
    expect(queue.takeStopRequests("w")).toEqual([job.id]);
    expect(queue.takeStopRequests("w")).toBeUndefined();
  });

  it("deletes a job after its ttl even if the job still runs", () => {
    const queue = newQueue();
    const job = queue.submit({ input: { text: "x" }, policy: { ...policy, ttl: 10_000 }, sync: false });
    queue.take("w", 1);
    now = 10_000;
    expect(queue.get(job.id)).toBeUndefined();
    expect(queue.takeStopRequests("w")).toEqual([job.id]);
  });
});

describe("The job API", () => {
  const health = async (key: string | undefined, endpoint = id) =>
    (await runpod.call(`${endpoint}/health`, {}, key)).status;

  it("accepts a key with and without Bearer and rejects an unknown key, endpoint or job", async () => {
    expect(await health(ACCOUNT_KEY)).toBe(200);
    expect(await health(`Bearer ${ACCOUNT_KEY}`)).toBe(200);
    expect((await fetch(`${runpod.jobApiUrl}/${id}/health`)).status).toBe(401);
    expect(await health("nonsense")).toBe(401);
    expect(await health(ACCOUNT_KEY, "unknown")).toBe(404);
    expect((await runpod.call(`${id}/status/unknown`)).status).toBe(404);
  });

  it("lets a restricted key call only the key's own endpoint", async () => {
    const mistral = await runpod.deploy({ name: "mistral" }, { name: "mistral-template" });
    expect(await health(PHI3_KEY)).toBe(200);
    expect(await health(PHI3_KEY, mistral.id)).toBe(401);
    expect(await health(PHI3_KEY, "unknown")).toBe(401);
  });

  it("refuses the account's key on the routes for workers", async () => {
    const take = runpod.worker.env.RUNPOD_WEBHOOK_GET_JOB?.replace("$ID", "w") ?? "";
    expect((await fetch(take, { headers: { authorization: ACCOUNT_KEY } })).status).toBe(401);
  });

  it("answers a browser's preflight request without a key", async () => {
    const response = await fetch(`${runpod.jobApiUrl}/${id}/run`, {
      method: "OPTIONS",
      headers: {
        origin: "https://snack.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("access-control-allow-headers")).toBe("authorization,content-type");
  });

  it("refuses a body over 10 MiB for /run and a body without a valid job", async () => {
    const body = JSON.stringify({ input: { text: "x".repeat(11 * 2 ** 20) } });
    const tooLarge = await runpod.call(`${id}/run`, { method: "POST", body });
    expect(tooLarge.status).toBe(400);
    expect(await tooLarge.json()).toEqual({
      status: 400,
      title: "Bad Request",
      detail: "bad request: body: exceeded max body size of 10MiB",
    });
    const sync = runpod.call(`${id}/runsync?wait=1000`, { method: "POST", body });
    await runpod.worker.done((await runpod.worker.next()).id, { output: 1 });
    expect((await sync).status).toBe(200);
    for (const invalid of ["{", "{}", '{"input":"text"}', '{"input":{"a":1},"policy":{"ttl":5}}'])
      expect((await runpod.call(`${id}/run`, { method: "POST", body: invalid })).status).toBe(400);
  });

  it("answers 429 when an operation exceeds its rate limit", async () => {
    const purge = async () => (await runpod.call(`${id}/purge-queue`, { method: "POST" })).status;
    expect([await purge(), await purge(), await purge()]).toEqual([200, 200, 429]);
    expect((await runpod.call(`${id}/health`)).status).toBe(200);
  });
});

describe("The OpenAI route", () => {
  const body = (stream: boolean) => ({ model: "phi3", messages: [{ role: "user", content: "x" }], stream });

  it("sends openai_route and openai_input to the worker and forwards the worker's server-sent events", async () => {
    const response = runpod.call(`${id}/openai/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(body(true)),
    });
    const job = await runpod.worker.next();
    expect(job.input).toEqual({ openai_route: "/v1/chat/completions", openai_input: body(true) });
    await runpod.worker.stream(job.id, 'data: {"a":1}\n\n');
    await runpod.worker.stream(job.id, "data: [DONE]\n\n");
    await runpod.worker.done(job.id, { output: [] });
    expect((await response).headers.get("content-type")).toBe("text/event-stream");
    expect(await (await response).text()).toBe('data: {"a":1}\n\ndata: [DONE]\n\n');
  });

  it("answers with JSON when the request does not ask for a stream", async () => {
    const answer = runpod.json(`${id}/openai/v1/chat/completions`, body(false));
    await runpod.worker.done((await runpod.worker.next()).id, { output: [{ object: "chat.completion" }] });
    expect(await answer).toEqual({ object: "chat.completion" });
  });
});

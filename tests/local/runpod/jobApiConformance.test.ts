import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { needsPython, workerPython } from "../../workerPython";
import { ACCOUNT_KEY, type FakeWorker, PHI3_KEY, RunpodFixture } from "./fixture";
import { CallFailed, type ClientKind, type JobClient, npmClient, plainFetch, pythonClient } from "./jobClients";

// These tests call the job API as RunPod documents it (docs.runpod.io: send requests, operation reference, job states).
// They use RunPod's two clients (npm runpod-sdk 1.1.2, Python runpod 1.12.0) and plain HTTP. If a client has no method
// for a call, the test makes this call over plain HTTP.

/** Client, endpoint and worker of one test. */
interface Scene {
  client: JobClient;
  /** Creates a client of the same kind with another key or endpoint. */
  clientWith(other: { key?: string; endpoint?: string }): JobClient;
  /** Id of an endpoint that only this test uses. */
  id: string;
  worker: FakeWorker;
  /** Calls the job API over HTTP. */
  post(path: string): Promise<Response>;
  /** Whether the client sends the payload `{input: {}}` as `{input: {input: {}}}`. The Python client does so. */
  wrapsEmptyInput: boolean;
}

const input = { text: "こんばんは" };
/** HTTP status of a call that must fail. */
const failure = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => Promise.reject(new Error("The call did not fail")),
    (error) => (error instanceof CallFailed ? error.status : Promise.reject(error)),
  );

const runpod = new RunpodFixture();
const HOUR_MS = 3_600_000;

const behaviours: Record<string, (scene: Scene) => Promise<void>> = {
  "queues a job and shows its status and result": async ({ client, worker }) => {
    const id = await client.run({ input });
    expect(id).toMatch(/^[0-9a-f-]{36}-u1$/);
    expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" });
    expect(await worker.next()).toEqual({ id, input });
    expect(await client.status(id)).toMatchObject({ status: "IN_PROGRESS" });
    await worker.done(id, { output: { text: "いらっしゃい" } });
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED", output: { text: "いらっしゃい" } });
  },

  "fails a job when the worker reports an error": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { error: '{"error":{"code":"ticket_missing"}}' });
    expect(await client.status(id)).toMatchObject({ status: "FAILED" });
  },

  "returns the result of /runsync when the job ends": async ({ client, worker }) => {
    const result = client.runSync({ input });
    const job = await worker.next();
    expect(job).toEqual({ id: expect.stringMatching(/^sync-/), input });
    await worker.done(job.id, { output: [1, 2] });
    expect(await result).toEqual([1, 2]);
  },

  "streams the items in order until the end": async ({ client, worker }) => {
    const id = await client.run({ input });
    const streamed = client.stream(id);
    await worker.next();
    for (const delta of ["あら、", "いらっしゃい", "。"]) await worker.stream(id, { delta });
    await worker.done(id, { output: [] });
    expect(await streamed).toEqual(["あら、", "いらっしゃい", "。"].map((delta) => ({ delta })));
  },

  "streams all items of an ended job at the first request and none at the second request": async ({
    client,
    worker,
  }) => {
    const id = await client.run({ input });
    await worker.next();
    for (const delta of ["a", "b"]) await worker.stream(id, delta);
    await worker.done(id, { output: ["a", "b"] });
    expect(await client.stream(id)).toEqual(["a", "b"]);
    expect(await client.stream(id)).toEqual([]);
  },

  "returns an empty stream for a job without stream items": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { output: "whole" });
    expect(await client.stream(id)).toEqual([]);
  },

  "shows progress while a job runs and ignores progress after the result": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { status: "IN_PROGRESS", output: "half" });
    expect(await client.status(id)).toMatchObject({ status: "IN_PROGRESS", output: "half" });
    await worker.done(id, { output: "whole" });
    await worker.done(id, { status: "IN_PROGRESS", output: "late" });
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED", output: "whole" });
  },

  "removes a cancelled job from the queue": async ({ client, worker }) => {
    const [first, second] = [await client.run({ input }), await client.run({ input })];
    expect(await client.cancel(first)).toEqual({ id: first, status: "CANCELLED" });
    expect((await worker.next()).id).toBe(second);
  },

  "stops a cancelled job on its worker": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    const jobsToStop = worker.jobsToStop();
    await client.cancel(id);
    expect(await jobsToStop).toEqual([id]);
    expect(await client.status(id)).toMatchObject({ status: "CANCELLED" });
  },

  "queues a failed job again under the same id when the job is retried": async ({
    client,
    worker,
    id: endpoint,
    post,
  }) => {
    const id = await client.run({ input });
    expect((await post(`${endpoint}/retry/${id}`)).status).toBe(400);
    await worker.next();
    await worker.done(id, { output: "partial", error: "boom" });
    expect(await (await post(`${endpoint}/retry/${id}`)).json()).toEqual({ id, status: "IN_QUEUE" });
    expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" });
    expect((await worker.next()).id).toBe(id);
    await worker.done(id, { output: "whole" });
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED", output: "whole" });
  },

  "removes the queued jobs and keeps the running job after /purge-queue": async ({ client, worker }) => {
    const running = await client.run({ input });
    await worker.next();
    await client.run({ input });
    await client.run({ input });
    expect(await client.purge()).toEqual({ removed: 2, status: "completed" });
    expect(await client.status(running)).toMatchObject({ status: "IN_PROGRESS" });
  },

  "returns the numbers of jobs and workers in /health": async ({ client, worker }) => {
    await client.run({ input });
    await worker.next();
    await client.run({ input });
    expect(await client.health()).toEqual({
      jobs: { completed: 0, failed: 0, inProgress: 1, inQueue: 1, retried: 0 },
      workers: { idle: 0, initializing: 0, ready: 0, running: 1, throttled: 0, unhealthy: 0 },
    });
  },

  "stops a job with the status TIMED_OUT after policy.executionTimeout": async ({ client, worker }) => {
    const id = await client.run({ input, policy: { executionTimeout: 5_000 } });
    await worker.next();
    runpod.double.skip(5_000);
    expect(await client.status(id)).toMatchObject({ status: "TIMED_OUT" });
    expect(await worker.jobsToStop()).toEqual([id]);
  },

  "deletes a job after policy.ttl even if the job still runs": async ({ client, worker }) => {
    const id = await client.run({ input, policy: { ttl: 10_000 } });
    await worker.next();
    runpod.double.skip(10_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "refuses a policy value outside RunPod's limits": async ({ client }) => {
    for (const policy of [{ executionTimeout: 4_999 }, { ttl: 9_999 }, { ttl: 604_800_001 }])
      expect(await failure(client.run({ input, policy }))).toBe(400);
  },

  "posts a finished job to its webhook again until the webhook answers 200": async ({ client, worker }) => {
    const received: { id: string }[] = [];
    const server = createServer(async (request, response) => {
      let text = "";
      for await (const data of request) text += data;
      received.push(JSON.parse(text));
      response.writeHead(received.length < 3 ? 500 : 200).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const webhook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/?token=t`;
      const id = await client.run({ input, webhook });
      await worker.next();
      await worker.done(id, { output: "bye" });
      await vi.waitFor(() => expect(received).toHaveLength(3), 5_000);
      expect(received[2]).toMatchObject({ id, status: "COMPLETED", output: "bye", input });
    } finally {
      server.close();
    }
  },

  "refuses bodies over 10 MiB for /run and over 20 MiB for /runsync": async ({ client, worker }) => {
    const megabytes = (count: number) => ({ input: { text: "x".repeat(count * 2 ** 20) } });
    expect(await failure(client.run(megabytes(11)))).toBe(400);
    expect(await failure(client.runSync(megabytes(21)))).toBe(400);
    const result = client.runSync(megabytes(11));
    await worker.done((await worker.next()).id, { output: 1 });
    expect(await result).toBe(1);
  },

  "answers 429 to too many requests until the time window of the limit ends": async ({ client }) => {
    await client.purge();
    await client.purge();
    expect(await failure(client.purge())).toBe(429);
    runpod.double.skip(10_000);
    expect(await client.purge()).toMatchObject({ status: "completed" });
  },

  "answers 401 to a wrong key and 404 for an unknown endpoint or job": async ({ client, clientWith }) => {
    expect(await failure(clientWith({ key: "nonsense" }).health())).toBe(401);
    expect(await failure(clientWith({ key: PHI3_KEY }).run({ input }))).toBe(401);
    expect(await failure(clientWith({ endpoint: "unknown" }).run({ input }))).toBe(404);
    expect(await failure(client.status("unknown"))).toBe(404);
    expect(await failure(client.cancel("unknown"))).toBe(404);
  },

  "fails a job when the client sends an empty input": async ({ client, worker, wrapsEmptyInput }) => {
    const id = await client.run({ input: {} });
    const next = await client.run({ input });
    if (wrapsEmptyInput) expect(await worker.next()).toEqual({ id, input: { input: {} } });
    expect((await worker.next()).id).toBe(next);
    if (!wrapsEmptyInput) expect(await client.status(id)).toMatchObject({ status: "FAILED" });
  },

  "keeps results of /run for 30 minutes": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { output: 1 });
    runpod.double.skip(HOUR_MS / 2 - 10_000);
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED" });
    runpod.double.skip(10_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "keeps results of /runsync for the requested wait, but at least for one minute": async ({ client, worker }) => {
    const result = client.runSync({ input });
    const { id } = await worker.next();
    await worker.done(id, { output: 1 });
    await result;
    runpod.double.skip(50_000);
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED" });
    runpod.double.skip(50_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "queues a job again after the first crash of its worker and fails the job after the second crash": async ({
    client,
    worker,
  }) => {
    const id = await client.run({ input });
    await worker.next();
    worker.crash("out of memory");
    await vi.waitFor(async () => expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" }));
    runpod.double.skip(1_000);
    expect((await runpod.worker.next()).id).toBe(id);
    runpod.worker.crash("again");
    await vi.waitFor(async () => expect(await client.status(id)).toMatchObject({ status: "FAILED" }));
  },

  "queues a job again when its worker's ping omits the job": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.ping([id]);
    runpod.double.skip(31_000);
    await worker.ping([id]);
    expect(await client.status(id)).toMatchObject({ status: "IN_PROGRESS" });
    await worker.ping([]);
    expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" });
    await worker.next();
    runpod.double.skip(31_000);
    await worker.ping([]);
    expect(await client.status(id)).toMatchObject({ status: "FAILED" });
  },
};

const python = pythonClient(workerPython);
const kinds: ClientKind[] = [plainFetch, npmClient, python];

beforeAll(() => runpod.start({ workersQuota: 1_000, webhookRetryDelayMs: 50 }));
afterAll(async () => {
  for (const kind of kinds) kind.close();
  await runpod.dispose();
});

describe.each(kinds)("The job API called by $name", (kind) => {
  it.each(Object.entries(behaviours))(
    "%s",
    { ...(kind === python && needsPython), timeout: 30_000 },
    async (name, behaviour) => {
      const unique = `${kind.name} ${name}`.slice(0, 150);
      const { id } = await runpod.deploy({ name: unique, workersMax: 1 }, { name: unique });
      const clientWith = ({ key = ACCOUNT_KEY, endpoint = id } = {}) =>
        kind.connect({ url: runpod.jobApiUrl, key, endpoint });
      await behaviour({
        client: clientWith(),
        clientWith,
        id,
        worker: runpod.worker,
        post: (path) => runpod.call(path, { method: "POST" }),
        wrapsEmptyInput: kind === python,
      });
    },
  );
});

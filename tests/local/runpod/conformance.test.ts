import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { workerPython } from "../../workerPython";
import { CallFailed, type ClientKind, type JobClient, npmClient, plainFetch, pythonClient } from "./clients";
import { ACCOUNT_KEY, type FakeWorker, PHI3_KEY, RunpodFixture } from "./fixture";

// The job API as RunPod documents it (docs.runpod.io: send requests, operation reference, job states) and as its own two
// clients use it (npm runpod-sdk 1.1.2, Python runpod 1.12.0), one table for all of them. What a client has no call for
// is done by HTTP, and seen through the client.

/** What a behaviour is shown on. */
interface Scene {
  client: JobClient;
  /** The same kind of client with another key or endpoint. */
  as(other: { key?: string; endpoint?: string }): JobClient;
  /** Id of an endpoint that nothing else uses. */
  id: string;
  worker: FakeWorker;
  /** By HTTP. */
  post(path: string): Promise<Response>;
  /** True when the client is the Python one, which puts an empty input into another. */
  wrapsEmptyInput: boolean;
}

const input = { text: "こんばんは" };
/** Status of a call that must fail. */
const failure = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => (error instanceof CallFailed ? error.status : Promise.reject(error)),
  );

const runpod = new RunpodFixture();
const HOUR_MS = 3_600_000;

const behaviours: Record<string, (scene: Scene) => Promise<void>> = {
  "run queues a job, whose states and result status shows": async ({ client, worker }) => {
    const id = await client.run({ input });
    expect(id).toMatch(/^[0-9a-f-]{36}-u1$/);
    expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" });
    expect(await worker.next()).toEqual({ id, input });
    expect(await client.status(id)).toMatchObject({ status: "IN_PROGRESS" });
    await worker.done(id, { output: { text: "いらっしゃい" } });
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED", output: { text: "いらっしゃい" } });
  },

  "a worker's error makes the job FAILED": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { error: '{"error":{"code":"ticket_missing"}}' });
    expect(await client.status(id)).toMatchObject({ status: "FAILED" });
  },

  "runsync waits for the result": async ({ client, worker }) => {
    const result = client.runSync({ input });
    const job = await worker.next();
    expect(job).toEqual({ id: expect.stringMatching(/^sync-/), input });
    await worker.done(job.id, { output: [1, 2] });
    expect(await result).toEqual([1, 2]);
  },

  "stream hands out what comes, in order, until the end": async ({ client, worker }) => {
    const id = await client.run({ input });
    const seen = client.stream(id);
    await worker.next();
    for (const delta of ["あら、", "いらっしゃい", "。"]) await worker.stream(id, { delta });
    await worker.done(id, { output: [] });
    expect(await seen).toEqual(["あら、", "いらっしゃい", "。"].map((delta) => ({ delta })));
  },

  "stream still has everything when the job has ended before it is read, and once only": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    for (const delta of ["a", "b"]) await worker.stream(id, delta);
    await worker.done(id, { output: ["a", "b"] });
    expect(await client.stream(id)).toEqual(["a", "b"]);
    expect(await client.stream(id)).toEqual([]);
  },

  "stream of a job that streams nothing is empty": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { output: "whole" });
    expect(await client.stream(id)).toEqual([]);
  },

  "progress shows while the job runs, and never over its result": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { status: "IN_PROGRESS", output: "half" });
    expect(await client.status(id)).toMatchObject({ status: "IN_PROGRESS", output: "half" });
    await worker.done(id, { output: "whole" });
    await worker.done(id, { status: "IN_PROGRESS", output: "late" });
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED", output: "whole" });
  },

  "cancel takes a job out of the queue": async ({ client, worker }) => {
    const [first, second] = [await client.run({ input }), await client.run({ input })];
    expect(await client.cancel(first)).toEqual({ id: first, status: "CANCELLED" });
    expect((await worker.next()).id).toBe(second);
  },

  "cancel stops a job on its worker": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    const stops = worker.stops();
    await client.cancel(id);
    expect(await stops).toEqual([id]);
    expect(await client.status(id)).toMatchObject({ status: "CANCELLED" });
  },

  "retry queues a failed job again under its id": async ({ client, worker, id: endpoint, post }) => {
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

  "purge-queue empties the queue and leaves running jobs alone": async ({ client, worker }) => {
    const running = await client.run({ input });
    await worker.next();
    await client.run({ input });
    await client.run({ input });
    expect(await client.purge()).toEqual({ removed: 2, status: "completed" });
    expect(await client.status(running)).toMatchObject({ status: "IN_PROGRESS" });
  },

  "health counts jobs and workers": async ({ client, worker }) => {
    await client.run({ input });
    await worker.next();
    await client.run({ input });
    expect(await client.health()).toEqual({
      jobs: { completed: 0, failed: 0, inProgress: 1, inQueue: 1, retried: 0 },
      workers: { idle: 0, initializing: 0, ready: 0, running: 1, throttled: 0, unhealthy: 0 },
    });
  },

  "policy.executionTimeout ends a job that runs too long, and stops it": async ({ client, worker }) => {
    const id = await client.run({ input, policy: { executionTimeout: 5_000 } });
    await worker.next();
    runpod.double.skip(5_000);
    expect(await client.status(id)).toMatchObject({ status: "TIMED_OUT" });
    expect(await worker.stops()).toEqual([id]);
  },

  "policy.ttl forgets a job, even one that runs": async ({ client, worker }) => {
    const id = await client.run({ input, policy: { ttl: 10_000 } });
    await worker.next();
    runpod.double.skip(10_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "a policy outside of RunPod's bounds is refused": async ({ client }) => {
    for (const policy of [{ executionTimeout: 4_999 }, { ttl: 9_999 }, { ttl: 604_800_001 }])
      expect(await failure(client.run({ input, policy }))).toBe(400);
  },

  "a webhook gets the whole job, three times until it says 200": async ({ client, worker }) => {
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

  "run takes 10 MiB and runsync 20 MiB, not more": async ({ client, worker }) => {
    const megabytes = (count: number) => ({ input: { text: "x".repeat(count * 2 ** 20) } });
    expect(await failure(client.run(megabytes(11)))).toBe(400);
    expect(await failure(client.runSync(megabytes(21)))).toBe(400);
    const result = client.runSync(megabytes(11));
    await worker.done((await worker.next()).id, { output: 1 });
    expect(await result).toBe(1);
  },

  "too many requests get 429, until the window is over": async ({ client }) => {
    await client.purge();
    await client.purge();
    expect(await failure(client.purge())).toBe(429);
    runpod.double.skip(10_000);
    expect(await client.purge()).toMatchObject({ status: "completed" });
  },

  "a key that is not known, or is another endpoint's, gets 401; an endpoint or job that is not there 404": async ({
    client,
    as,
  }) => {
    expect(await failure(as({ key: "nonsense" }).health())).toBe(401);
    expect(await failure(as({ key: PHI3_KEY }).run({ input }))).toBe(401);
    expect(await failure(as({ endpoint: "unknown" }).run({ input }))).toBe(404);
    expect(await failure(client.status("unknown"))).toBe(404);
    expect(await failure(client.cancel("unknown"))).toBe(404);
  },

  "an empty input is lost on the way to the worker": async ({ client, worker, wrapsEmptyInput }) => {
    const id = await client.run({ input: {} });
    const next = await client.run({ input });
    if (wrapsEmptyInput) expect(await worker.next()).toEqual({ id, input: { input: {} } });
    expect((await worker.next()).id).toBe(next);
    if (!wrapsEmptyInput) expect(await client.status(id)).toMatchObject({ status: "FAILED" });
  },

  "results of run are kept 30 minutes": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    await worker.done(id, { output: 1 });
    runpod.double.skip(HOUR_MS / 2 - 10_000);
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED" });
    runpod.double.skip(10_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "results of runsync are kept one minute, or as long as it was to wait": async ({ client, worker }) => {
    const result = client.runSync({ input });
    const { id } = await worker.next();
    await worker.done(id, { output: 1 });
    await result;
    runpod.double.skip(50_000);
    expect(await client.status(id)).toMatchObject({ status: "COMPLETED" });
    runpod.double.skip(50_000);
    expect(await failure(client.status(id))).toBe(404);
  },

  "a job whose worker dies is queued once more, then fails": async ({ client, worker }) => {
    const id = await client.run({ input });
    await worker.next();
    worker.crash("out of memory");
    await vi.waitFor(async () => expect(await client.status(id)).toMatchObject({ status: "IN_QUEUE" }));
    runpod.double.skip(1_000);
    expect((await runpod.worker.next()).id).toBe(id);
    runpod.worker.crash("again");
    await vi.waitFor(async () => expect(await client.status(id)).toMatchObject({ status: "FAILED" }));
  },

  "a job that its worker never names in its pings is queued once more, then fails": async ({ client, worker }) => {
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

const kinds: ClientKind[] = [plainFetch, npmClient, ...(workerPython ? [pythonClient(workerPython)] : [])];

beforeAll(() => runpod.start({ workersQuota: 1_000, webhookRetryDelayMs: 50 }));
afterAll(async () => {
  for (const kind of kinds) kind.close();
  await runpod.dispose();
});

describe.each(kinds)("$name", (kind) => {
  it.each(Object.entries(behaviours))("%s", { timeout: 30_000 }, async (name, behaviour) => {
    const unique = `${kind.name} ${name}`.slice(0, 150);
    const { id } = await runpod.deploy({ name: unique, workersMax: 1 }, { name: unique });
    const as = ({ key = ACCOUNT_KEY, endpoint = id } = {}) => kind.connect({ url: runpod.jobApiUrl, key, endpoint });
    await behaviour({
      client: as(),
      as,
      id,
      worker: runpod.worker,
      post: (path) => runpod.call(path, { method: "POST" }),
      wrapsEmptyInput: kind.name.includes("Python"),
    });
  });
});

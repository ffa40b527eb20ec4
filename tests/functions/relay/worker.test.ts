import { setTimeout as sleep } from "node:timers/promises";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../../contract/errors";
import type { Plan } from "../../../contract/plan";
import { TicketClaims } from "../../../contract/ticket";
import { sum } from "../../../functions/core/canary/statistics";
import type { AttemptOptions } from "../../../functions/core/relay/attempts";
import { deadlinesOf } from "../../../functions/core/relay/deadlines";
import { type ProviderChat, type ProviderEvent, ProviderFailure } from "../../../functions/core/relay/provider";
import { Background } from "../../../functions/lib/background";
import { createRelay, type RelayServices } from "../../../functions/relay/handler";
import { createWorker, type WorkerOptions } from "../../../functions/relay/worker";
import type { ReplyCountTable } from "../../../functions/tables/replyCounts";
import type { Fault } from "../../../local/runpod/account/switches";
import { ACCOUNT_KEY, type FakeWorker, RunpodFixture } from "../../local/runpod/fixture";
import { createServices, ScriptedProvider } from "./doubles";
import { readItems } from "./events";
import { startHost } from "./host";

let runpod: RunpodFixture;
let endpoint: string;
let background: Background;
beforeEach(async () => {
  for (const level of ["info", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  runpod = new RunpodFixture();
  await runpod.start();
  endpoint = (await runpod.deploy()).id;
  background = new Background();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await runpod.dispose();
});

const done = {
  done: true,
  text: "こんばんは",
  finish_reason: "stop",
  usage: { prompt_tokens: 100, completion_tokens: 5 },
  model: { plan: "free", name: "phi3", version: "1.2.3" },
  timings: { ttft_ms: 1, total_ms: 2 },
};
const end = { end: { finishReason: "stop", usage: done.usage, version: "1.2.3" } };
const contractError = (code: string, message = "text") =>
  JSON.stringify({ error: { code, message, retryable: false } });

const worker = (options: Partial<WorkerOptions> = {}) =>
  createWorker({
    model: "phi3",
    url: `${runpod.jobApiUrl}/${endpoint}`,
    apiKey: async () => ACCOUNT_KEY,
    input: { messages: [{ role: "user", content: "x" }], params: { max_tokens: 9 } },
    ticket: async () => "the-ticket",
    waitUntil: background.add,
    ...options,
  });
const ask = (options: Partial<WorkerOptions> = {}, signal = new AbortController().signal) =>
  worker(options).stream({} as ProviderChat, signal);
const collect = (events: AsyncIterable<ProviderEvent>) => Array.fromAsync(events);
const failureOf = (options: Partial<WorkerOptions> = {}): Promise<ProviderFailure> =>
  collect(ask(options)).then(
    () => expect.fail("the request succeeded"),
    (error) => (error instanceof ProviderFailure ? error : Promise.reject(error)),
  );
/** The running worker of an endpoint. */
const workerOf = (id: string) =>
  vi.waitFor(
    () => runpod.workers.find(({ env }) => env.RUNPOD_ENDPOINT_ID === id) ?? expect.fail("no worker has started"),
    { interval: 10 },
  );
const fault = (on: string, answer: Fault["answer"], more: Partial<Fault> = {}) =>
  runpod.double.switches.faults.push({ on, answer, times: 1, skip: 0, done: false, delayMs: 0, ...more });
const nextJob = async (fake: FakeWorker = runpod.worker) => vi.waitFor(() => fake.next(), { interval: 10 });
const statusOf = async (id: string) => (await runpod.json(`${endpoint}/status/${id}`)).status;

/** Starts the relay with the endpoint for both models, and a client with a ticket of the plan. */
async function start(plan: Plan = "free", changes: Partial<RelayServices> = {}) {
  const relay = await createServices(new ScriptedProvider(), {
    endpoints: { phi3: `${runpod.jobApiUrl}/${endpoint}`, mistral: `${runpod.jobApiUrl}/${endpoint}` },
    workerKey: async () => ACCOUNT_KEY,
    ...changes,
  });
  const host = await startHost(createRelay(relay.services));
  // The ticket has nearly expired, as after a customer has typed for a long time.
  const ticket = await relay.tickets.sign(plan, { ageMs: 100_000 });
  const post = (path: string, body: object) =>
    fetch(`${host.url}${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${ticket}`,
        accept: "text/event-stream",
      },
      body: JSON.stringify(body),
    });
  return { relay, host, ticket, post };
}

describe("A worker's reply", () => {
  it("arrives piece by piece and ends with its usage and version", async () => {
    const events = ask()[Symbol.asyncIterator]();
    const first = events.next();
    const job = await nextJob();
    expect(job.input).toEqual({
      messages: [{ role: "user", content: "x" }],
      params: { max_tokens: 9 },
      ticket: "the-ticket",
      stream: true,
    });
    await runpod.worker.stream(job.id, { delta: "こん" });
    expect((await first).value).toEqual({ text: "こん" });
    await runpod.worker.stream(job.id, { delta: "ばんは" });
    expect((await events.next()).value).toEqual({ text: "ばんは" });
    await runpod.worker.stream(job.id, done);
    expect((await events.next()).value).toEqual(end);
    expect((await events.next()).done).toBe(true);
  });

  it("is completed from /status when the response with the final items was lost", async () => {
    fault("GET /v2/*/stream/*", "cut", { skip: 1, done: true });
    const events = collect(ask());
    const job = await nextJob();
    await runpod.worker.stream(job.id, { delta: "こん" });
    await sleep(300);
    await runpod.worker.stream(job.id, { delta: "ばんは" });
    await runpod.worker.stream(job.id, done);
    await runpod.worker.done(job.id, { output: [done] });
    expect(await events).toEqual([{ text: "こん" }, { text: "ばんは" }, end]);
  });

  it("fails with the reason broken when a piece in the middle was lost", async () => {
    const failing = failureOf();
    const job = await nextJob();
    await runpod.worker.stream(job.id, { delta: "こん" });
    await runpod.worker.stream(job.id, { ...done, text: "ばんは" });
    expect((await failing).reason).toBe("broken");
  });

  it("arrives although single polls fail", async () => {
    for (const answer of [429, 500, 503, "cut"] as const) fault("GET /v2/*/stream/*", answer);
    const events = collect(ask());
    const job = await nextJob();
    await runpod.worker.stream(job.id, done);
    expect(await events).toEqual([{ text: "こんばんは" }, end]);
  });
});

describe("A failure of RunPod", () => {
  it.each([
    [429, "rate_limited", 1_000],
    [500, "upstream_error", undefined],
    [502, "upstream_error", undefined],
    [503, "overloaded", undefined],
    [401, "auth_or_quota", undefined],
    [402, "auth_or_quota", undefined],
    [404, "not_found", undefined],
    [400, "invalid_request", undefined],
    ["cut", "upstream_error", undefined],
  ] as const)("at /run with %s has the reason %s", async (answer, reason, retryAfterMs) => {
    fault("POST /v2/*/run", answer);
    const failure = await failureOf();
    expect(failure).toMatchObject({ reason, retryAfterMs });
    expect(failure.message).not.toMatch(/account-key|the-ticket/);
  });

  it("raises an alarm when the account's key cannot be read", async () => {
    const { relay, host, post } = await start("free", {
      workerKey: async () => {
        throw new ApiError("unavailable");
      },
    });
    expect((await post("/chat", { text: "x" })).status).toBe(503);
    expect(relay.alarms).toEqual([
      "relay_provider runpod misconfigured RunPod's API key or the ticket key cannot be read",
    ]);
    await host.close();
  });

  it("has a separate reason for a wrong key, an unknown endpoint and a failed connection", async () => {
    expect((await failureOf({ apiKey: async () => "wrong" })).reason).toBe("auth_or_quota");
    expect((await failureOf({ url: `${runpod.jobApiUrl}/unknown` })).reason).toBe("not_found");
    expect((await failureOf({ url: "http://127.0.0.1:1" })).reason).toBe("upstream_error");
  });

  it("repeats the request with the new API key when RunPod rejects the cached key", async () => {
    const apiKey = async (options?: { fresh: boolean }) => (options?.fresh ? ACCOUNT_KEY : "replaced");
    const events = collect(ask({ apiKey }));
    const job = await nextJob();
    await runpod.worker.stream(job.id, done);
    await runpod.worker.done(job.id, { output: [done] });
    expect((await events).at(-1)).toEqual(end);
  });

  it.each([
    [contractError("overloaded"), "overloaded"],
    [contractError("timeout"), "timeout"],
    [contractError("internal"), "upstream_error"],
    ["executionTimeout exceeded", "timeout"],
    ["job timed out after 1 retries", "timeout"],
    ["handler: Traceback (most recent call last)", "upstream_error"],
  ])("in a job with the error %s has the reason %s", async (error, reason) => {
    const failing = failureOf();
    const job = await nextJob();
    await runpod.worker.done(job.id, { error });
    const failure = await failing;
    expect([failure.reason, failure.cause]).toEqual([reason, undefined]);
  });

  it.each(["invalid_input", "too_long", "ticket_invalid", "ticket_expired", "ticket_wrong_model"])(
    "keeps the worker's refusal %s as its cause",
    async (code) => {
      const failing = failureOf();
      const job = await nextJob();
      await runpod.worker.done(job.id, { error: contractError(code, "worker's text") });
      const { cause } = await failing;
      expect(cause).toBeInstanceOf(ApiError);
      expect(cause).toMatchObject({ code, message: "worker's text" });
    },
  );

  it("has the reason broken when the job completes without a result", async () => {
    const failing = failureOf();
    const job = await nextJob();
    await runpod.worker.done(job.id, { output: [{ delta: "x" }] });
    expect((await failing).reason).toBe("broken");
  });
});

describe("An aborted request", () => {
  it("cancels its job, whether it is in the queue or running", async () => {
    for (const isTaken of [false, true]) {
      const stop = new AbortController();
      const events = ask({}, stop.signal)[Symbol.asyncIterator]();
      const first = events.next();
      first.catch(() => {});
      await vi.waitFor(async () => expect((await health()).inQueue).toBe(1));
      const id = isTaken ? (await nextJob()).id : undefined;
      stop.abort(new ApiError("cancelled"));
      await expect(first).rejects.toMatchObject({ code: "cancelled" });
      await background.ended();
      expect(await health()).toMatchObject({ inQueue: 0, inProgress: 0 });
      if (id) expect(await statusOf(id)).toBe("CANCELLED");
    }
  });

  it("cancels a job whose id arrives after the abort", async () => {
    fault("POST /v2/*/run", "pass", { delayMs: 2_000 });
    const stop = new AbortController();
    const asking = collect(ask({}, stop.signal));
    asking.catch(() => {});
    await sleep(100);
    const abortedAt = performance.now();
    stop.abort(new ApiError("cancelled"));
    await expect(asking).rejects.toMatchObject({ code: "cancelled" });
    expect(performance.now() - abortedAt).toBeLessThan(1_500);
    await background.ended();
    expect(await health()).toMatchObject({ inQueue: 0, inProgress: 0 });
  });

  it("cancels its job when the reader leaves the stream", async () => {
    const events = ask()[Symbol.asyncIterator]();
    const first = events.next();
    const { id } = await nextJob();
    await runpod.worker.stream(id, { delta: "x" });
    await first;
    await events.return?.();
    await background.ended();
    expect(await statusOf(id)).toBe("CANCELLED");
  });

  it("keeps its job running when keepJob is set", async () => {
    const stop = new AbortController();
    const asking = collect(ask({ keepJob: true }, stop.signal));
    asking.catch(() => {});
    const { id } = await nextJob();
    stop.abort(new ApiError("timeout"));
    await expect(asking).rejects.toMatchObject({ code: "timeout" });
    await background.ended();
    expect(await statusOf(id)).toBe("IN_PROGRESS");
  });

  it("sends a time limit with the job, in case the relay crashes", async () => {
    const events = collect(ask());
    events.catch(() => {});
    await vi.waitFor(async () => expect((await health()).inQueue).toBe(1));
    runpod.double.skip(301_000);
    expect(await events.catch((error) => error.reason)).toBe("not_found");
  });
});

describe("The relay", () => {
  it("sends the customer's unmerged messages to the worker, and streams the worker's reply", async () => {
    const { host, post } = await start();
    const messages = [
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ];
    const response = post("/chat", { id: "chat-0001", messages });
    const job = await nextJob();
    expect(job.input).toMatchObject({ messages, params: { max_tokens: 256 }, request_id: "chat-0001" });
    await runpod.worker.stream(job.id, { delta: "こん" });
    await runpod.worker.stream(job.id, done);
    const items = await readItems(await response);
    expect(items.slice(0, -1)).toEqual([{ delta: "こん" }, { delta: "ばんは" }]);
    expect(items.at(-1)).toMatchObject({
      done: true,
      provider: "runpod",
      model: { plan: "free", name: "phi3", version: "1.2.3" },
      usage: done.usage,
      attempts: 1,
    });
    await host.close();
  });

  it("signs a ticket for the job that is valid longer than a cold start takes", async () => {
    const { relay, host, post } = await start();
    const response = post("/chat", { text: "x" });
    const job = await nextJob();
    const { ticket } = job.input as { ticket: string };
    const inFourMinutes = new Date(Date.now() + 240_000);
    expect(await relay.services.readTicket(ticket, { now: inFourMinutes })).toMatchObject({
      sub: "user-1",
      aud: "phi3",
      plan: "free",
      limits: { max_tokens: 256 },
    });
    await runpod.worker.stream(job.id, done);
    await (await response).text();
    await host.close();
  });

  it("uses the plan's worker for a vip customer when every external LLM fails", async () => {
    const { relay, host, post } = await start("vip", {
      createProvider: async () => {
        const down = new ScriptedProvider();
        down.scripts = [[new ProviderFailure("auth_or_quota", "401")]];
        return down;
      },
    });
    const response = post("/chat", { text: "x" });
    const job = await nextJob();
    await runpod.worker.stream(job.id, { ...done, model: { ...done.model, plan: "paid", name: "mistral" } });
    const items = await readItems(await response);
    expect(items.at(-1)).toMatchObject({ done: true, provider: "runpod", attempts: 2, model: { name: "mistral" } });
    expect(relay.alarms).toEqual(["relay_provider anthropic auth_or_quota 401"]);
    await host.close();
  });

  it("uses the plan's worker and raises an alarm when the spend ceiling is reached", async () => {
    const { relay, host, post } = await start("vip");
    relay.spend.isOver = true;
    const response = post("/chat", { text: "x" });
    const job = await nextJob();
    await runpod.worker.stream(job.id, { ...done, model: { ...done.model, plan: "paid", name: "mistral" } });
    const items = await readItems(await response);
    expect(items.at(-1)).toMatchObject({ done: true, provider: "runpod", model: { plan: "vip", name: "mistral" } });
    expect(relay.alarms).toEqual(["vip_spend_ceiling"]);
    await host.close();
    expect(relay.usage.settled).toEqual([105]);
    expect(relay.spend.settled).toEqual([]);
  });

  describe("with a candidate", () => {
    const reply = (version: string) => ({ ...done, model: { ...done.model, version } });
    const claimsOf = (input: unknown) => TicketClaims.parse(decodeJwt((input as { ticket: string }).ticket));
    const counting = vi.fn<ReplyCountTable["add"]>();
    const deployed = async (
      share: number,
      more: { testers?: string[]; host?: string } & Partial<RelayServices> = {},
    ) => {
      const { testers = [], host = runpod.jobApiUrl, ...services } = more;
      const released = endpoint;
      const own = (await runpod.deploy({ name: "candidate" }, { name: "candidate-template" })).id;
      const candidate = async () => ({
        image: "2",
        url: `${host}/${own}`,
        share,
        testers,
        isReady: true,
      });
      const counted: object[] = [];
      counting.mockReset().mockImplementation(async (version, { firstText, ...counts }) => {
        counted.push({ ...version, ...counts, measured: sum(firstText) });
      });
      const relay = await start("free", { candidate, replyCounts: { add: counting }, ...services });
      return { released, own, worker: runpod.worker, counted, ...relay };
    };
    const one = { replies: 1, failed: 0, empty: 0, invalid: 0, measured: 1 };

    it("sends a chosen user's chat to the candidate, with a ticket for its endpoint only", async () => {
      const { own, post, host, counted } = await deployed(100);
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(own);
      const job = await nextJob(worker);
      expect(claimsOf(job.input).endpoint).toBe(own);
      await worker.stream(job.id, reply("2"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "2" }, attempts: 1 });
      await host.close();
      expect(counted).toEqual([{ model: "phi3", image: "2", ...one }]);
    });

    it("sends the chat of another user to the released endpoint, with a ticket for this endpoint only", async () => {
      const { released, post, host, counted } = await deployed(0);
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(released);
      const job = await nextJob(worker);
      expect(claimsOf(job.input).endpoint).toBe(released);
      await worker.stream(job.id, reply("1"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "1" }, attempts: 1 });
      await host.close();
      expect(counted).toEqual([{ model: "phi3", ...one }]);
    });

    it("falls back to the released endpoint when the candidate fails, and logs and counts the candidate's failure", async () => {
      const { released, own, post, host, counted } = await deployed(100);
      fault(`POST /v2/${own}/run`, 500);
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(released);
      const job = await nextJob(worker);
      await worker.stream(job.id, reply("1"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "1" }, text: done.text });
      expect(JSON.stringify(vi.mocked(console.info).mock.calls)).toContain("runpod candidate upstream_error");
      await host.close();
      expect(counted).toEqual([{ model: "phi3", image: "2", ...one, failed: 1, measured: 0 }]);
    });

    it("lets no customer pay the tokens of a candidate that failed after a part of its reply", async () => {
      const { released, own, post, relay, host } = await deployed(100);
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(own);
      const job = await nextJob(worker);
      await worker.stream(job.id, { delta: "あら" });
      await worker.done(job.id, { error: "broken" });
      const fallback = await workerOf(released);
      await fallback.stream((await nextJob(fallback)).id, reply("1"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "1" }, text: done.text });
      await host.close();
      expect(relay.usage.settled).toEqual([105]);
    });

    it("sends the account's key only to the host of the released endpoint, whatever host the parameter names", async () => {
      const { own, post, host } = await deployed(100, { host: "https://attacker.example/v2" });
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(own);
      await worker.stream((await nextJob(worker)).id, reply("2"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "2" }, attempts: 1 });
      await host.close();
    });

    it.each([
      ["does not count a candidate that had no worker in time", false, []],
      ["counts a candidate whose worker gave no text in time as failed", true, [{ failed: 1 }]],
    ])("%s", async (_name, hasWorker, expected) => {
      const deadlines: AttemptOptions["deadlines"] = (provider) => ({
        ...deadlinesOf(provider),
        ...(provider.isCandidate && { firstTextMs: 1_500 }),
      });
      const { released, own, post, host, counted } = await deployed(100, { pace: { deadlines } });
      const response = post("/chat", { text: "x" });
      if (hasWorker) {
        const worker = await workerOf(own);
        // An empty piece is no text, but it shows that the worker runs the job.
        await worker.stream((await nextJob(worker)).id, { delta: "" });
      }
      const fallback = await workerOf(released);
      await fallback.stream((await vi.waitFor(() => fallback.next(), { interval: 10, timeout: 5_000 })).id, reply("1"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "1" } });
      await host.close();
      expect(counted).toMatchObject(expected);
      expect(counted).toHaveLength(expected.length);
    });

    it.each([
      ["does not count a tester's reply for the verdict", 0, {}, []],
      ["does not count the reply of a tester whom the share also has", 100, {}, []],
      [
        "counts a tester's reply that breaks the contract",
        0,
        { token: "こん" },
        [{ replies: 0, failed: 0, invalid: 1 }],
      ],
    ])("%s", async (_name, share, item, expected) => {
      const { own, post, host, counted } = await deployed(share, { testers: ["user-1"] });
      const response = post("/chat", { text: "x" });
      const worker = await workerOf(own);
      const job = await nextJob(worker);
      if ("token" in item) await worker.stream(job.id, item);
      await worker.stream(job.id, reply("2"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "2" } });
      await host.close();
      expect(counted).toMatchObject(expected);
      expect(counted).toHaveLength(expected.length);
    });

    it("reads the candidate while it reserves the usage, so that a chat does not wait for both", async () => {
      const order: string[] = [];
      const {
        worker: _,
        released,
        post,
        host,
        relay,
      } = await deployed(0, {
        candidate: async () => {
          order.push("candidate");
          return undefined;
        },
      });
      const reserve = relay.usage.reserve.bind(relay.usage);
      vi.spyOn(relay.usage, "reserve").mockImplementation(async (...args) => {
        order.push("reserve");
        await reserve(...args);
      });
      const response = post("/chat", { text: "x" });
      const worker = await workerOf(released);
      await worker.stream((await nextJob(worker)).id, reply("1"));
      await (await response).text();
      await host.close();
      expect(order).toEqual(["candidate", "reserve"]);
    });

    it("falls back without an alarm when a promotion has just deleted the candidate's endpoint", async () => {
      const { released, own, post, relay, host } = await deployed(100);
      fault(`POST /v2/${own}/run`, 404);
      const response = post("/chat", { text: "こんばんは" });
      const worker = await workerOf(released);
      await worker.stream((await nextJob(worker)).id, reply("1"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ model: { version: "1" }, text: done.text });
      await host.close();
      expect(relay.alarms).toEqual([]);
    });

    it("asks the candidate again in the next chat after a failure", async () => {
      const { released, own, post, host, counted } = await deployed(100);
      fault(`POST /v2/${own}/run`, 500);
      const first = post("/chat", { text: "x" });
      const fallback = await workerOf(released);
      await fallback.stream((await nextJob(fallback)).id, reply("1"));
      await (await first).text();
      const second = post("/chat", { text: "x" });
      const worker = await workerOf(own);
      await worker.stream((await nextJob(worker)).id, reply("2"));
      expect((await readItems(await second)).at(-1)).toMatchObject({ model: { version: "2" } });
      await host.close();
      expect(counted).toMatchObject([{ failed: 1 }, { failed: 0 }]);
    });

    it.each([
      ["a filtered reply", { finish_reason: "filter", text: "" }, { empty: 1 }],
      ["a reply of spaces", { text: "  " }, { empty: 1 }],
    ])("counts %s as empty", async (_name, more, expected) => {
      const { own, post, host, counted } = await deployed(100);
      const response = post("/chat", { text: "x" });
      const worker = await workerOf(own);
      await worker.stream((await nextJob(worker)).id, { ...reply("2"), ...more });
      await (await response).text();
      await host.close();
      expect(counted).toEqual([{ model: "phi3", image: "2", ...one, ...expected }]);
    });

    it("counts an item that breaks the contract, even if the reply is complete", async () => {
      const { own, post, host, counted } = await deployed(100);
      const response = post("/chat", { text: "x" });
      const worker = await workerOf(own);
      const job = await nextJob(worker);
      await worker.stream(job.id, { token: "こん" });
      await worker.stream(job.id, reply("2"));
      await (await response).text();
      await host.close();
      expect(counted).toEqual([{ model: "phi3", image: "2", ...one, invalid: 1 }]);
    });

    it("counts no chat that the customer has cancelled, and none that the worker has refused", async () => {
      const { released, post, host, counted } = await deployed(0);
      const refused = post("/chat", { text: "x" });
      const worker = await workerOf(released);
      await worker.done((await nextJob(worker)).id, { error: contractError("too_long", "text") });
      await (await refused).text();
      const cancelled = post("/chat", { id: "chat-0001", text: "x" });
      await worker.stream((await nextJob(worker)).id, { delta: "a" });
      await cancelled;
      await post("/chat/chat-0001/cancel", {});
      await (await cancelled).text();
      await host.close();
      expect(counted).toEqual([]);
    });

    it("answers the chat when the count cannot be written", async () => {
      const { own, post, host } = await deployed(100);
      counting.mockRejectedValueOnce(new ApiError("unavailable"));
      const response = post("/chat", { text: "x" });
      const worker = await workerOf(own);
      await worker.stream((await nextJob(worker)).id, reply("2"));
      expect((await readItems(await response)).at(-1)).toMatchObject({ done: true, text: done.text });
      await host.close();
      expect(counting).toHaveBeenCalledOnce();
    });
  });

  it("returns the code and text of the worker's refusal, and raises no alarm", async () => {
    const { relay, host, post } = await start();
    const answering = post("/chat", { text: "x" });
    const job = await nextJob();
    await runpod.worker.done(job.id, { error: contractError("ticket_expired", "worker's text") });
    const response = await answering;
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "ticket_expired", message: "worker's text" } });
    expect(relay.alarms).toEqual([]);
    await host.close();
  });

  it("cancels the job when the chat is cancelled", async () => {
    const { host, post } = await start();
    const answering = post("/chat", { id: "chat-0001", text: "x" });
    const job = await nextJob();
    await runpod.worker.stream(job.id, { delta: "a" });
    const response = await answering;
    await post("/chat/chat-0001/cancel", {});
    await vi.waitFor(async () => expect(await statusOf(job.id)).toBe("CANCELLED"), { timeout: 10_000, interval: 20 });
    expect((await readItems(response)).at(-1)).toMatchObject({ error: { code: "cancelled" }, text: "a" });
    await host.close();
  });
});

async function health(): Promise<Record<string, number>> {
  return (await runpod.json(`${endpoint}/health`)).jobs;
}

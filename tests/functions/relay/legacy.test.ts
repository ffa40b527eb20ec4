import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LegacyChatResponse } from "../../../contract/relay";
import { createRelay, type RelayServices } from "../../../functions/relay/handler";
import { ACCOUNT_KEY, RunpodFixture } from "../../local/runpod/fixture";
import { recordMetrics } from "../metricLines";
import { createServices, issuer, ScriptedProvider } from "./doubles";
import { type Host, startHost } from "./host";

let runpod: RunpodFixture;
let endpoint: string;
let host: Host;
let relay: Awaited<ReturnType<typeof createServices>>;

async function start(changes: Partial<RelayServices> = {}): Promise<void> {
  relay = await createServices(new ScriptedProvider(), {
    endpoints: { phi3: `${runpod.jobApiUrl}/${endpoint}` },
    workerKey: async () => ACCOUNT_KEY,
    times: { legacyAnswerAfterMs: 500 },
    ...changes,
  });
  host = await startHost(createRelay(relay.services));
}

beforeEach(async () => {
  for (const level of ["info", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  runpod = new RunpodFixture();
  await runpod.start();
  endpoint = (await runpod.deploy()).id;
});
afterEach(async () => {
  await host.close();
  await runpod.dispose();
  vi.restoreAllMocks();
});

it("never asks a candidate, because each request is a new guest", async () => {
  const own = (await runpod.deploy({ name: "candidate" }, { name: "candidate-template" })).id;
  const url = `${runpod.jobApiUrl}/${own}`;
  await start({ candidate: async () => ({ image: "2", url, share: 100, testers: [], isReady: true }) });
  await post({ message: "こんばんは" });
  const jobsOf = async (id: string) => (await runpod.json(`${id}/health`)).jobs.inQueue;
  expect([await jobsOf(own), await jobsOf(endpoint)]).toEqual([0, 1]);
});

const post = (body: object) =>
  fetch(`${host.url}//chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
const nextJob = () => vi.waitFor(() => runpod.worker.next(), { interval: 10 });
const reply = (text: string) => ({
  done: true,
  text,
  finish_reason: "stop",
  usage: { prompt_tokens: 10, completion_tokens: 5 },
  model: { plan: "free", name: "phi3", version: "1" },
  timings: { ttft_ms: 1, total_ms: 2 },
});
const versions = [
  ["1", { message: "こんばんは" }],
  [
    "2",
    {
      conversation: [
        { role: "assistant", content: "いらっしゃい" },
        { role: "user", content: "こんばんは" },
      ],
      metadata: { channel: "web", session_id: "s-1" },
    },
  ],
] as const;

describe.each(versions)("Version %s of the first web frontend", (_, body) => {
  it("gets the reply in the field that it reads", async () => {
    await start();
    const answering = post(body);
    const job = await nextJob();
    expect(job.input).toMatchObject({ messages: [{ role: "user", content: "こんばんは" }] });
    const { ticket } = job.input as { ticket: string };
    expect(await relay.services.readTicket(ticket)).toMatchObject({
      iss: issuer,
      aud: "phi3",
      plan: "free",
      sub: expect.stringMatching(/^guest:/),
    });
    await runpod.worker.stream(job.id, reply("あら、いらっしゃい。"));
    const response = await answering;
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ reply: "あら、いらっしゃい。", message: "あら、いらっしゃい。" });
    await host.idle();
    expect(relay.usage.settled).toEqual([15]);
  });

  it("gets Mama's request to wait while the model starts, and the job continues", async () => {
    await start();
    const response = await post(body);
    expect(response.status).toBe(200);
    const answer = LegacyChatResponse.parse(await response.json());
    expect(answer).toMatchObject({ waiting: true, reply: expect.stringContaining("お店を開ける") });
    expect(answer.message).toBe(answer.reply);
    await host.idle();
    expect((await runpod.json(`${endpoint}/health`)).jobs).toMatchObject({ inQueue: 1 });
    expect(relay.usage.settled).toHaveLength(1);
  });

  it("does not count as a failed chat while the model starts, because Mama has answered", async () => {
    using metrics = recordMetrics();
    await start();
    expect(await (await post(body)).json()).toMatchObject({ waiting: true });
    await host.idle();
    expect(metrics.values("ChatFailed")).toEqual([]);
  });

  it("counts as a failed chat when the model fails", async () => {
    using metrics = recordMetrics();
    await start({ workerKey: () => Promise.reject(new Error("no key")) });
    expect((await post(body)).status).toBeGreaterThanOrEqual(500);
    await host.idle();
    expect(metrics.values("ChatFailed")).toEqual([1]);
  });

  it("gets Mama's sentence for an error, with the error's status", async () => {
    const limit = { chatsPerMinute: 0, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit } });
    const response = await post(body);
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    const sentence = expect.stringContaining("今夜はたくさんお話ししたわね");
    expect(await response.json()).toEqual({
      error: expect.objectContaining({ code: "rate_limited" }),
      reply: sentence,
      message: sentence,
    });
  });
});

describe("The first web frontend", () => {
  it("gets only the complete sentences of a reply that takes too long", async () => {
    await start();
    const answering = post({ message: "x" });
    const job = await nextJob();
    await runpod.worker.stream(job.id, { delta: "あら、いらっしゃい。まあ座って" });
    expect(await (await answering).json()).toEqual({ reply: "あら、いらっしゃい。", message: "あら、いらっしゃい。" });
  });

  it("may send a conversation that is far above the limits", async () => {
    await start();
    const turn = [
      { role: "user", content: "u".repeat(3_000) },
      { role: "assistant", content: "a".repeat(3_000) },
    ];
    const conversation = [...Array(100).fill(turn).flat(), { role: "user", content: "last" }];
    const answering = post({ conversation });
    const { id, input } = await nextJob();
    const { messages } = input as { messages: { role: string; content: string }[] };
    expect(messages).toHaveLength(19);
    expect(messages[0]).toEqual({ role: "user", content: "u".repeat(1_000) });
    expect(messages.at(-1)).toEqual({ role: "user", content: "last" });
    await runpod.worker.stream(id, reply("ok"));
    expect((await answering).status).toBe(200);
  });

  it("is limited per address", async () => {
    const limit = { chatsPerMinute: 2, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit }, times: { legacyAnswerAfterMs: 50 } });
    const statuses = await Promise.all([1, 2, 3].map(async () => (await post({ message: "x" })).status));
    expect(statuses.toSorted()).toEqual([200, 200, 429]);
  });

  it.each([
    [{ message: "" }, "body.message: must not be empty"],
    [{ message: 1 }, "body.message: must be string"],
    [{ conversation: [] }, "body.conversation: a message from the user is required"],
    [{ conversation: [{ role: "user" }] }, "body.conversation[0].content: must be string"],
  ])("gets invalid_input with Mama's sentence for the body %j", async (body, message) => {
    await start();
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "invalid_input", message },
      reply: expect.stringContaining("ごめんなさい"),
    });
  });

  it("gets an error with Mama's sentence when the worker's endpoint refuses the request", async () => {
    await start({ workerKey: async () => "wrong" });
    const response = await post({ message: "x" });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "unavailable" }, message: expect.any(String) });
    expect(relay.alarms[0]).toContain("relay_provider runpod auth_or_quota");
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiProblem, type ChatItem, type ChatOptions, chat, type Session } from "../../../client";
import { planModels } from "../../../contract/plan";
import { createRelay } from "../../../functions/relay/handler";
import { createServices, ScriptedProvider } from "./doubles";
import { type Host, startHost } from "./host";

let host: Host;
let provider: ScriptedProvider;
let relay: Awaited<ReturnType<typeof createServices>>;

beforeEach(async () => {
  for (const level of ["log", "info", "warn", "error"] as const) vi.spyOn(console, level).mockReturnValue();
  provider = new ScriptedProvider();
  relay = await createServices(provider, { times: { waitingAfterMs: 200, heartbeatMs: 100 } });
  host = await startHost(createRelay(relay.services));
});
afterEach(async () => {
  await host.close();
  vi.restoreAllMocks();
});

async function vipSession(ageMs = 0): Promise<Session> {
  const ticket = await relay.tickets.sign("vip", { ageMs });
  return {
    user_id: "user-1",
    plan: "vip",
    model: planModels.vip,
    inference: { kind: "relay", url: host.url, authorization: `Bearer ${ticket}` },
    ticket,
    ticket_expires_at: new Date(Date.now() + 120_000).toISOString(),
    limits: { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 },
  };
}

async function collect(session: Session, options?: ChatOptions): Promise<ChatItem[]> {
  const items: ChatItem[] = [];
  for await (const item of chat(session, { text: "こんばんは" }, options)) items.push(item);
  return items;
}

describe("the browser client with the relay", () => {
  it("yields the waiting sentence, the deltas and the whole reply", async () => {
    provider.scripts = [[500, "こん", "ばんは", "end"]];
    const items = await collect(await vipSession());
    expect(items).toMatchObject([
      { waiting: true },
      { delta: "こん" },
      { delta: "ばんは" },
      { done: true, text: "こんばんは", provider: "anthropic", attempts: 1 },
    ]);
  });

  it("renews an expired ticket", async () => {
    const items = await collect(await vipSession(600_000), { renew: () => vipSession() });
    expect(items.at(-1)).toMatchObject({ text: "こんばんは" });
    expect(provider.chats).toHaveLength(1);
  });

  it("throws the relay's error with the text that arrived before the error", async () => {
    const long = "あ".repeat(300);
    provider.scripts = [[long, new Error("broken")]];
    const error = await collect(await vipSession()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ApiProblem);
    expect(error).toMatchObject({ partialText: long, retryable: true });
  });

  it.each<[string, number]>([
    ["before the response's headers", 50],
    ["while the chat waits", 400],
    ["after the first text", 900],
  ])("stops the call to the model after an abort %s", async (_, abortAfterMs) => {
    provider.scripts = [[700, "あら、", 30_000, "end"]];
    const signal = AbortSignal.timeout(abortAfterMs);
    const reason = await collect(await vipSession(), { signal }).catch((error: unknown) => error);
    expect(reason).toBe(signal.reason);
    await expect.poll(() => provider.stoppedAt, { timeout: 10_000 }).toBeDefined();
    await host.idle();
  });
});

import { randomUUID } from "node:crypto";
import Table from "cli-table3";
import { ApiProblem, type ChatDone, chat, type Session } from "../../client";
import type { ErrorCode } from "../../contract/errors";
import { type VipProvider, vipProviders } from "../../contract/relay";
import type { LocalCloud } from "../cloud/cloud";
import type { ProgramOutputs } from "../cloud/outputs";
import type { VipFault } from "../vip/vip";
import { customerApi } from "../visitor/customer";
import { setVipProviders } from "../visitor/relaySettings";
import { expiredTicket, forgedTicket, validTicket, withTicket } from "../visitor/tickets";

/** Output of `npm run smoke -- --plan vip --json`. */
export interface VipResult {
  /** Reply of each external LLM. */
  vip: Record<VipProvider, VipReply>;
  /** Provider that answered after the first provider had failed before any text, and the number of calls. */
  fellBackBeforeText: { provider: string; attempts: number };
  /** Provider whose reply replaced the beginning of another provider's reply. */
  restarted: { provider: string; attempts: number };
  /** Error of a reply that broke after a long text. `characters` is the length of the kept text. */
  brokenAfterText: { code: string; characters: number };
  /** Error code of each refused request. */
  refused: Record<string, string>;
  /** Milliseconds from the cancel call to the end of the chat. */
  cancelledWithinMs: number;
}

interface VipReply {
  text: string;
  ttftMs: number;
  model: string;
  provider: string;
  usage: ChatDone["usage"];
}

/**
 * Chats on the vip plan with each external LLM through the vendor's SDK. Also tests failures, refusals and a
 * cancellation.
 *
 * @throws Error when a step has an unexpected result
 */
export async function walkVip(
  cloud: LocalCloud,
  outputs: ProgramOutputs,
  say: (line: string) => void,
): Promise<VipResult> {
  const api = await customerApi("vip", cloud, outputs);
  const session = await api.session();
  /** Chats with the given providers in this order. The providers in `faults` fail. */
  const talkWith = async (providers: VipProvider[], faults: Partial<Record<VipProvider, VipFault>> = {}) => {
    cloud.vip.faults.clear();
    for (const [name, fault] of Object.entries(faults)) cloud.vip.faults.set(name as VipProvider, fault);
    await setVipProviders(cloud, providers);
    return talk(await api.session());
  };

  const vip: Partial<Record<VipProvider, VipReply>> = {};
  for (const provider of vipProviders) {
    say(`chatting with ${provider}`);
    const { done, ttftMs } = await expectReply(talkWith([provider]), { provider, attempts: 1 });
    vip[provider] = { text: done.text, ttftMs, model: done.model.name, provider, usage: done.usage };
  }
  say("failing before the first text, in a short text and in a long text");
  const fallback = await expectReply(talkWith(["anthropic", "openai"], { anthropic: "overloaded" }), {
    provider: "openai",
    attempts: 3,
  });
  const restart = await expectReply(talkWith(["bedrock", "openai"], { bedrock: "cut" }), {
    provider: "openai",
    attempts: 2,
    restarted: true,
  });
  const broken = await expectFailure(talkWith(["openai", "huggingface"], { openai: "cut late" }), "unavailable");
  say("sending requests that must be refused");
  cloud.vip.faults.clear();
  const refused = await refusals(cloud, session);
  say("cancelling a chat");
  const cancelledWithinMs = await cancelWaitingChat(cloud, await api.session());
  return {
    vip: vip as VipResult["vip"],
    fellBackBeforeText: pick(fallback.done),
    restarted: pick(restart.done),
    brokenAfterText: { code: broken.code, characters: broken.partialText?.length ?? 0 },
    refused,
    cancelledWithinMs,
  };
}

function pick({ provider = "", attempts = 0 }: ChatDone) {
  return { provider, attempts };
}

async function talk(session: Session): Promise<{ done: ChatDone; ttftMs: number }> {
  const startedAt = performance.now();
  let ttftMs: number | undefined;
  for await (const item of chat(session, { text: "こんばんは" })) {
    if ("delta" in item) ttftMs ??= Math.round(performance.now() - startedAt);
    if ("done" in item) return { done: item, ttftMs: ttftMs ?? 0 };
  }
  throw new Error("The chat ended without a reply");
}

/** Awaits a reply. Throws unless it has the expected properties. */
async function expectReply(reply: ReturnType<typeof talk>, expected: Partial<ChatDone>): ReturnType<typeof talk> {
  const { done, ttftMs } = await reply;
  for (const [name, value] of Object.entries(expected)) {
    const actual = done[name as keyof ChatDone];
    if (actual !== value) throw new Error(`Expected a reply with ${name} ${value}, got ${actual}`);
  }
  return { done, ttftMs };
}

/** Awaits the failure of a chat. Throws unless it has the expected code. */
async function expectFailure(chatting: Promise<unknown>, expected: ErrorCode): Promise<ApiProblem> {
  const error = await chatting.then(
    () => new Error("an answer"),
    (error: unknown) => error,
  );
  if (error instanceof ApiProblem && error.code === expected) return error;
  throw new Error(
    `Expected the failure ${expected}, got ${error instanceof ApiProblem ? `${error.code}: ${error.message}` : error}`,
  );
}

async function refusals(cloud: LocalCloud, session: Session): Promise<Record<string, string>> {
  const code = async (session: Session, expected: ErrorCode) => (await expectFailure(talk(session), expected)).code;
  const freeSession = { ...session, model: "phi3" };
  return {
    noTicket: await code(withTicket(session, ""), "ticket_missing"),
    forged: await code(withTicket(session, await forgedTicket(session)), "ticket_invalid"),
    expired: await code(withTicket(session, await expiredTicket(cloud, session)), "ticket_expired"),
    otherRoute: await code(withTicket(session, await validTicket(cloud, freeSession)), "ticket_wrong_model"),
    unknownChat: await postCode(session, `/chat/${randomUUID()}/cancel`, "{}", "not_found"),
    notJson: await postCode(session, "/chat", "text", "invalid_input"),
    nestedArrays: await postCode(session, "/chat", `{"text":${"[".repeat(1000)}${"]".repeat(1000)}}`, "invalid_input"),
    tooLong: await postCode(session, "/chat", JSON.stringify({ text: "あ".repeat(2_001) }), "too_long"),
  };
}

async function postCode({ inference }: Session, path: string, body: string, expected: ErrorCode): Promise<string> {
  const response = await fetch(`${inference.url}${path}`, {
    method: "POST",
    headers: { authorization: inference.authorization, "content-type": "application/json" },
    body,
    signal: AbortSignal.timeout(10_000),
  });
  const { error } = (await response.json()) as { error?: { code?: string } };
  if (error?.code !== expected) throw new Error(`Expected POST ${path} to answer ${expected}, got ${error?.code}`);
  return error.code;
}

/** Starts a chat whose provider stays silent, cancels it, and waits for its end. */
async function cancelWaitingChat(cloud: LocalCloud, session: Session): Promise<number> {
  cloud.vip.faults.set("huggingface", "silent");
  await setVipProviders(cloud, ["huggingface"]);
  const id = randomUUID();
  const headers = { authorization: session.inference.authorization, "content-type": "application/json" };
  const post = (path: string, body: object, accept: string) =>
    fetch(`${session.inference.url}${path}`, {
      method: "POST",
      headers: { ...headers, accept },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
  const answering = post("/chat", { id, text: "こんばんは" }, "text/event-stream").then((response) => response.text());
  // The chat's reservation must exist before it can be cancelled.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const cancelledAt = performance.now();
  const cancelled = await post(`/chat/${id}/cancel`, {}, "application/json");
  if (cancelled.status !== 200) throw new Error(`Expected the cancel call to answer 200, got ${cancelled.status}`);
  const answer = await answering;
  if (!answer.includes('"cancelled"')) throw new Error("Expected the cancelled chat to end with the code cancelled");
  return Math.round(performance.now() - cancelledAt);
}

/** Prints the result as a table. */
export function printVip(result: VipResult): void {
  const table = new Table({ style: { head: [], border: [] } });
  for (const [provider, { ttftMs, model, text }] of Object.entries(result.vip))
    table.push([provider, `${model}, first text after ${ttftMs} ms\n${text}`]);
  table.push(
    [
      "failed before text",
      `${result.fellBackBeforeText.provider} answered, call ${result.fellBackBeforeText.attempts}`,
    ],
    ["failed in a short text", `${result.restarted.provider} answered again from the beginning`],
    ["failed in a long text", `${result.brokenAfterText.code}, ${result.brokenAfterText.characters} characters kept`],
    ["cancelled within", `${result.cancelledWithinMs} ms`],
    ...Object.entries(result.refused).map(([what, code]) => [`refused: ${what}`, code]),
  );
  console.log(table.toString());
}

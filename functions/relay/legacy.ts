import { randomUUID } from "node:crypto";
import type { Writable } from "node:stream";
import { ApiError } from "../../contract/errors";
import { planModels } from "../../contract/plan";
import { type LegacyChatResponse, LegacyConversation, LegacyMessage } from "../../contract/relay";
import { planLimits } from "../core/planLimits";
import { mamaSentence, waitingSentence } from "../core/relay/mama";
import type { Message } from "../core/relay/provider";
import { bodyError } from "../lib/validation";
import { type Chat, type ChatServices, runChat, silentReader, toApiError } from "./chat";
import { fitted } from "./conversation";
import { retryAfter, sendJson } from "./reply";

/** The web frontend gives up after eight seconds. */
const ANSWER_AFTER_MS = 7_000;

/** A chat of the first web frontend. */
export interface LegacyChat extends Pick<Chat, "stop" | "waitUntil" | "account"> {
  /** Body of the request, not validated yet. */
  body: object;
  /** Time after which the answer is sent even if the reply is incomplete. Default 7 s. */
  answerAfterMs?: number;
}

/**
 * Answers the product's first web frontend within eight seconds, as a guest of the free plan. If the model is not
 * ready, the answer has status 200 and Mama's request to wait, and the model continues to start. An error is answered
 * with its status and a sentence of Mama.
 */
export async function answerLegacy(chat: LegacyChat, response: Writable, services: ChatServices): Promise<void> {
  try {
    await sendJson(response, 200, await reply(chat, services));
  } catch (thrown) {
    const error = toApiError(thrown);
    const sentence = mamaSentence(error.code);
    await sendJson(response, error.status, { ...error.body, reply: sentence, message: sentence }, retryAfter(error));
  }
}

async function reply(chat: LegacyChat, services: ChatServices): Promise<LegacyChatResponse> {
  const { stop, account, waitUntil, answerAfterMs = ANSWER_AFTER_MS } = chat;
  const late = new ApiError("timeout");
  const timer = setTimeout(() => stop.abort(late), answerAfterMs);
  try {
    const messages = messagesOf(chat.body);
    const input = { id: undefined, messages, params: {}, stream: false, requestId: undefined, isText: false };
    const whole: Chat = { id: randomUUID(), claims: guestClaims(), input, account, stop, waitUntil, late };
    const outcome = await runChat(whole, silentReader, services);
    if ("reply" in outcome) return { reply: outcome.reply.text, message: outcome.reply.text };
    if (outcome.error !== late) throw outcome.error;
    const text = sentencesOf(outcome.text);
    return text ? { reply: text, message: text } : { reply: waitingSentence, message: waitingSentence, waiting: true };
  } finally {
    clearTimeout(timer);
  }
}

/** Reads the conversation from a body of version 1 or 2, and shortens it to the limits of the free plan. */
function messagesOf(body: object): Message[] {
  const parsed = "conversation" in body ? LegacyConversation.safeParse(body) : LegacyMessage.safeParse(body);
  if (!parsed.success) throw bodyError(parsed.error.issues);
  const { data } = parsed;
  const conversation = "conversation" in data ? data.conversation : [{ role: "user", content: data.message }];
  const messages = fitted(conversation, planLimits.free);
  if (messages.length === 0)
    throw new ApiError("invalid_input", "body.conversation: a message from the user is required");
  return messages;
}

/** The frontend has no ticket. Each of its requests is a new guest. */
function guestClaims(): Chat["claims"] {
  return { sub: `guest:${randomUUID()}`, aud: planModels.free, plan: "free", limits: planLimits.free };
}

/** The complete sentences at the beginning of a text. */
function sentencesOf(text: string): string {
  return text.match(/^.*[。！？!?」]/s)?.[0] ?? "";
}

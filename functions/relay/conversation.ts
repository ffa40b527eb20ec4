import type { Limits } from "../../contract/plan";
import type { Message } from "../core/relay/provider";
import { characters } from "./chatInput";

/**
 * Merges messages so that the roles alternate and the first message is from the user. External LLMs accept only such
 * messages.
 */
export function alternating(messages: readonly Message[]): Message[] {
  const merged: Message[] = [];
  for (const { role, content } of messages) {
    const last = merged.at(-1);
    if (last?.role === role) merged[merged.length - 1] = { role, content: `${last.content}\n${content}` };
    else if (last || role === "user") merged.push({ role, content });
  }
  return merged;
}

/**
 * Shortens a conversation of the first web frontend to the limits. Keeps the messages of the user and the assistant,
 * from the user's first to the user's last message. If there are too many, keeps the newest messages. Shortens each
 * message to the maximum length.
 *
 * @returns an empty list when the user said nothing
 */
export function fitted(conversation: readonly { role: string; content: string }[], limits: Limits): Message[] {
  const known = conversation.filter((message): message is Message => isRole(message.role) && message.content !== "");
  const lastUser = known.findLastIndex(({ role }) => role === "user");
  const newest = alternating(known.slice(0, lastUser + 1)).slice(-limits.max_messages);
  return alternating(newest).map(({ role, content }) => ({ role, content: cut(content, limits.max_input_chars) }));
}

function isRole(role: string): role is Message["role"] {
  return role === "user" || role === "assistant";
}

/** Returns the first characters of a text. Never cuts a surrogate pair in half. */
function cut(text: string, maxCharacters: number): string {
  const whole = text.toWellFormed();
  return characters(whole) > maxCharacters ? [...whole].slice(0, maxCharacters).join("") : whole;
}

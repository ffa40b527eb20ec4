import type { ChatMessage, Limits } from "./types";

/**
 * Shortens a conversation to a session's limits. Keeps the newest `max_messages` messages, starting with a user's
 * message, and shortens the assistant's messages to `max_input_chars`. A user's message that is too long stays
 * unchanged, so that the worker rejects it.
 */
export function fitConversation(messages: readonly ChatMessage[], limits: Limits): ChatMessage[] {
  const newest = messages.slice(-limits.max_messages);
  const firstUser = newest.findIndex((message) => message.role === "user");
  return newest
    .slice(Math.max(firstUser, 0))
    .map((message) =>
      message.role === "user" ? message : { ...message, content: cut(message.content, limits.max_input_chars) },
    );
}

function cut(text: string, maxChars: number): string {
  // Half a surrogate pair is not a character, and a JSON parser may reject it.
  return text.slice(0, maxChars).replace(/[\uD800-\uDBFF]$/, "");
}

import type { ChatMessage, Limits } from "./types";

/**
 * The newest part of a conversation that a session's limits allow: at most `max_messages`, beginning with a user's turn,
 * with Mama's longer replies cut to `max_input_chars`. The user's own text is left as it is, for the worker to refuse.
 */
export function fitConversation(messages: readonly ChatMessage[], limits: Limits): ChatMessage[] {
  const newest = messages.slice(-limits.max_messages);
  const begin = newest.findIndex((message) => message.role === "user");
  return newest
    .slice(Math.max(begin, 0))
    .map((message) => (message.role === "user" ? message : { ...message, content: cut(message.content, limits) }));
}

function cut(text: string, limits: Limits): string {
  // Half of a surrogate pair is not a character, and no JSON reader has to accept it.
  return text.slice(0, limits.max_input_chars).replace(/[\uD800-\uDBFF]$/, "");
}

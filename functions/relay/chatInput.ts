import type * as z from "zod/mini";
import { ApiError } from "../../contract/errors";
import type { Limits } from "../../contract/plan";
import { ChatRequest } from "../../contract/relay";
import { workerBounds } from "../../contract/worker";
import type { Message } from "../core/relay/provider";
import { bodyError, bodyPath } from "../lib/validation";

/** Validated body of a chat. `messages` has at least one message. The last message is from the user. */
export interface ChatInput {
  id: string | undefined;
  messages: Message[];
  params: NonNullable<ChatRequest["params"]>;
  /** `false` requests the reply as one item. */
  stream: boolean;
  ticket?: string | undefined;
  requestId: string | undefined;
  /** Whether the client sent `text` instead of `messages`. Errors then name `body.text`. */
  isText: boolean;
}

/**
 * Validates the body of a chat with the checks of the Python worker (`chat_input.py`), in the same order.
 *
 * @throws ApiError `invalid_input` or `too_long` that names the field
 */
export function parseChat(body: object): ChatInput {
  const { text, messages: list, ...request } = validate(body);
  if ((text === undefined) === (list === undefined)) {
    throw new ApiError("invalid_input", "body: exactly one of text and messages is allowed");
  }
  const messages: Message[] = list ?? [{ role: "user", content: text ?? "" }];
  if (messages.at(-1)?.role !== "user") {
    throw new ApiError("invalid_input", "body.messages: the last message must be from the user");
  }
  const { id, params = {}, stream = true, ticket, request_id: requestId } = request;
  return { id, messages, params, stream, ticket, requestId, isText: list === undefined };
}

/**
 * Checks a chat against the limits of its ticket.
 *
 * @throws ApiError `too_long`
 */
export function checkLimits({ messages, isText }: ChatInput, limits: Limits): void {
  if (messages.length > limits.max_messages) {
    throw new ApiError("too_long", `body.messages: at most ${limits.max_messages} messages are allowed`);
  }
  const index = messages.findIndex(({ content }) => characters(content) > limits.max_input_chars);
  if (index === -1) return;
  const field = bodyPath(isText ? ["text"] : ["messages", index, "content"]);
  throw new ApiError("too_long", `${field}: at most ${limits.max_input_chars} characters are allowed`);
}

/** Maximum number of tokens of the reply: the lowest of the client's, the ticket's and the contract's limits. */
export function replyTokens({ params }: ChatInput, limits: Limits): number {
  return Math.min(params.max_tokens ?? workerBounds.maxTokens, limits.max_tokens, workerBounds.maxTokens);
}

/**
 * Number of Unicode characters, as Python counts them. JavaScript's `length` and zod count a character like 😀 as two.
 */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function validate(body: object): ChatRequest {
  const list = "messages" in body ? body.messages : undefined;
  // The length is checked first, because zod would validate every item of a list that is too long.
  if (Array.isArray(list) && list.length > workerBounds.messages) {
    throw new ApiError("too_long", `body.messages: at most ${workerBounds.messages} items are allowed`);
  }
  const issues = ChatRequest.safeParse(body).error?.issues.filter((issue) => !isMiscounted(issue, body)) ?? [];
  if (issues.length > 0) throw bodyError(issues);
  const request = body as ChatRequest;
  const broken = textsOf(request).find(([, text]) => !text.isWellFormed());
  if (!broken) return request;
  throw new ApiError("invalid_input", `${bodyPath(broken[0])}: must not contain a lone surrogate (half a character)`);
}

/** Whether zod calls a text too long that is short enough when counted as in Python. */
function isMiscounted(issue: z.core.$ZodIssue, body: object): boolean {
  if (issue.code !== "too_big" || issue.origin !== "string") return false;
  const text = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], body);
  return characters(String(text)) <= Number(issue.maximum);
}

function textsOf({ text = "", messages = [], request_id = "" }: ChatRequest): [path: PropertyKey[], text: string][] {
  return [
    [["text"], text],
    ...messages.map(({ content }, index): [PropertyKey[], string] => [["messages", index, "content"], content]),
    [["request_id"], request_id],
  ];
}

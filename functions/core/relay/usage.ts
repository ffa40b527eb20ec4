import * as z from "zod/mini";
import type { Usage } from "../../../contract/relay";
import type { Provider, ProviderChat, TokenUsage } from "./provider";

/**
 * Upper estimate for Japanese text. Measured: 1.12 with the tokenizers of Phi-3 and Mistral, less with newer
 * tokenizers.
 */
const TOKENS_PER_CHARACTER = 1.2;
/** Tokens for the role and the separators of one message. */
const TOKENS_PER_MESSAGE = 8;

/** Lifetime of a reservation. It is longer than the longest chat. */
const RESERVATION_SECONDS = 600;
/** A cancellation may arrive before its chat. Lifetime of such a cancellation, and maximum number per account. */
const EARLY_CANCEL_SECONDS = 60;
const MAX_EARLY_CANCELS = 20;
/**
 * Retry-After when only the reservations of running chats exceed the limit. These chats end soon, and use fewer tokens
 * than they reserved.
 */
const RUNNING_RETRY_SECONDS = 5;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Limits of one account. */
export interface UsageLimits {
  /** Chats that may start in one minute. */
  chatsPerMinute: number;
  /** Tokens of prompts and replies in one UTC day. */
  tokensPerDay: number;
}

const Reservation = z.object({
  chat_id: z.string(),
  /** Id of the request that reserved. Absent in items of older versions. */
  request: z.optional(z.string()),
  /** `sub` of the ticket. Several guests may share an account. */
  owner: z.string(),
  /** Maximum number of tokens that the chat can use. */
  tokens: z.int(),
  /** Unix seconds. */
  expires_at: z.number(),
  cancelled: z.boolean(),
});

/**
 * Usage of one account. Each running chat has a reservation. The reservations are lists, not objects, because a client
 * may choose `__proto__` as a chat id.
 */
export const UsageState = z.object({
  /** Minutes since 1970, and the chats started in this minute. */
  minute: z.int(),
  chats: z.int(),
  /** UTC days since 1970, and the tokens of the chats that ended on this day. */
  day: z.int(),
  tokens: z.int(),
  reservations: z.array(Reservation),
  /** Chats that were cancelled before they arrived. */
  early_cancels: z.array(z.omit(Reservation, { request: true, tokens: true, cancelled: true })),
});
export type UsageState = z.infer<typeof UsageState>;

/** Request to start a chat. */
export interface ReserveRequest {
  chatId: string;
  /**
   * Unique id of this request. A retried write has the same id. Another chat with the same `chatId` has a different id.
   */
  request: string;
  owner: string;
  /** Maximum number of tokens that the chat can use. */
  tokens: number;
  limits: UsageLimits;
}

/** Reason why a chat must not start. */
export type Refusal = { code: "conflict" } | { code: "rate_limited"; retryAfterSeconds: number };

/** Estimates the tokens of a reply, for a provider that reports none. */
export function estimateUsage({ system, messages }: ProviderChat, text: string): TokenUsage {
  const contents = [system.persona, system.greeting, ...messages.map(({ content }) => content)];
  const tokens = (characters: number) => Math.ceil(characters * TOKENS_PER_CHARACTER);
  return {
    prompt_tokens: contents.reduce((sum, content) => sum + tokens(content.length) + TOKENS_PER_MESSAGE, 0),
    completion_tokens: tokens(text.length),
  };
}

/**
 * Maximum number of tokens of one call: the estimated prompt, the longest reply and the largest `thinkingTokens` of the
 * providers.
 */
export function worstCase(chat: ProviderChat, providers: readonly Pick<Provider, "thinkingTokens">[]): TokenUsage {
  const thoughts = Math.max(0, ...providers.map(({ thinkingTokens = 0 }) => thinkingTokens));
  return { ...estimateUsage(chat, ""), completion_tokens: chat.maxTokens + thoughts };
}

/** Tokens that count against the daily limit. */
export function totalTokens({ prompt_tokens, completion_tokens }: TokenUsage): number {
  return prompt_tokens + completion_tokens;
}

/**
 * Decides whether a chat may start. Returns the next state with the chat's reservation, or the reason of the refusal.
 * Returns neither when this request already has a reservation.
 */
export function reserve(
  state: UsageState | undefined,
  { chatId, request, owner, tokens, limits }: ReserveRequest,
  now: Date,
): { next?: UsageState; refusal?: Refusal } {
  const current = currentState(state, now);
  const running = current.reservations.find(hasId(chatId));
  if (running) return running.request === request ? {} : { refusal: { code: "conflict" } };
  const retryAfterSeconds = secondsUntilAllowed(current, tokens, limits, now);
  if (retryAfterSeconds > 0) return { refusal: { code: "rate_limited", retryAfterSeconds } };
  const early = current.early_cancels.find(hasId(chatId));
  const reservation = {
    chat_id: chatId,
    request,
    owner,
    tokens,
    expires_at: seconds(now) + RESERVATION_SECONDS,
    cancelled: early?.owner === owner,
  };
  return {
    next: {
      ...current,
      chats: current.chats + 1,
      reservations: [...current.reservations, reservation],
      early_cancels: current.early_cancels.filter((one) => one !== early),
    },
  };
}

/**
 * Replaces a reservation with the used tokens. The tokens count on the day on which the chat ends. Returns undefined
 * when there is no reservation, so that a repeated call counts nothing.
 */
export function settle(
  state: UsageState | undefined,
  { chatId, tokens }: { chatId: string; tokens: number },
  now: Date,
): UsageState | undefined {
  if (!state?.reservations.some(hasId(chatId))) return undefined;
  const current = currentState(state, now);
  const reservations = current.reservations.filter((one) => one.chat_id !== chatId);
  return { ...current, tokens: current.tokens + tokens, reservations };
}

/**
 * Marks a running chat as cancelled. A cancellation may arrive before its chat, so the cancellation of an unknown chat
 * is kept for a minute. `next` is undefined when nothing changes.
 */
export function cancel(
  state: UsageState | undefined,
  { chatId, owner }: { chatId: string; owner: string },
  now: Date,
): { found: boolean; next?: UsageState } {
  const current = currentState(state, now);
  const running = current.reservations.find(hasId(chatId));
  if (running?.owner === owner) {
    const reservations = current.reservations.map((one) => (one === running ? { ...one, cancelled: true } : one));
    return { found: true, next: { ...current, reservations } };
  }
  if (running || current.early_cancels.length >= MAX_EARLY_CANCELS) return { found: false };
  const early = { chat_id: chatId, owner, expires_at: seconds(now) + EARLY_CANCEL_SECONDS };
  return { found: false, next: { ...current, early_cancels: [...current.early_cancels, early] } };
}

/** Whether a running chat was cancelled. */
export function isCancelled(state: UsageState | undefined, chatId: string): boolean {
  return state?.reservations.find(hasId(chatId))?.cancelled ?? false;
}

/** Usage of an account, as shown to the customer. As in the limit, running chats count with their reserved tokens. */
export function readUsage(state: UsageState | undefined, limits: UsageLimits, now: Date): Usage {
  const current = currentState(state, now);
  return {
    minute: {
      chats: current.chats,
      limit: limits.chatsPerMinute,
      resets_at: new Date((current.minute + 1) * MINUTE_MS).toISOString(),
    },
    day: {
      tokens: current.tokens + reservedTokens(current),
      limit: limits.tokensPerDay,
      resets_at: new Date((current.day + 1) * DAY_MS).toISOString(),
    },
  };
}

/** Time in Unix seconds after which a state has no effect. */
export function usageEnd({ day }: UsageState): number {
  return ((day + 1) * DAY_MS) / 1000 + RESERVATION_SECONDS;
}

/** Returns the state at a time: resets the counts of an earlier minute or day, and drops expired entries. */
function currentState(state: UsageState | undefined, now: Date): UsageState {
  const minute = Math.floor(now.getTime() / MINUTE_MS);
  const day = Math.floor(now.getTime() / DAY_MS);
  return {
    minute,
    chats: state?.minute === minute ? state.chats : 0,
    day,
    tokens: state?.day === day ? state.tokens : 0,
    reservations: unexpired(state?.reservations, now),
    early_cancels: unexpired(state?.early_cancels, now),
  };
}

function unexpired<T extends { expires_at: number }>(entries: readonly T[] = [], now: Date): T[] {
  return entries.filter(({ expires_at }) => expires_at > seconds(now));
}

function hasId(chatId: string): (entry: { chat_id: string }) => boolean {
  return ({ chat_id }) => chat_id === chatId;
}

/** Seconds until the limits may allow the chat. 0 when they allow the chat now. */
function secondsUntilAllowed(state: UsageState, tokens: number, limits: UsageLimits, now: Date): number {
  const until = (ms: number) => Math.ceil((ms - now.getTime()) / 1000);
  if (state.tokens + tokens > limits.tokensPerDay) return until((state.day + 1) * DAY_MS);
  if (state.chats >= limits.chatsPerMinute) return until((state.minute + 1) * MINUTE_MS);
  if (state.tokens + reservedTokens(state) + tokens > limits.tokensPerDay) return RUNNING_RETRY_SECONDS;
  return 0;
}

function reservedTokens({ reservations }: UsageState): number {
  return reservations.reduce((sum, { tokens }) => sum + tokens, 0);
}

function seconds(now: Date): number {
  return now.getTime() / 1000;
}

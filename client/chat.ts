import { ApiProblem } from "./problem";
import { relayChat } from "./relay";
import { runpodChat } from "./runpodJob";
import { createStop, type StopOptions, untilStopped } from "./stop";
import type { ChatInput, ChatItem, Session } from "./types";

/** Cancellation, session renewal and time limits of one chat. */
export interface ChatOptions extends StopOptions {
  /**
   * Creates a new session. `chat` calls it before the chat when the ticket is about to expire. `chat` also calls it once
   * when the relay, the worker or RunPod rejects the ticket or the key, unless text has already arrived. Without this
   * function, `chat` throws the error of the rejection.
   */
  renew?: () => Promise<Session>;
  /** Time limit without a byte from the relay, which sends a heartbeat every 5 s. Default 30 s. */
  idleTimeoutMs?: number;
}

/** A ticket that expires within this time could expire while the chat waits in the queue. */
const RENEW_AHEAD_MS = 10_000;

/**
 * Sends a message to the assistant and yields the reply as it arrives: `{delta}` pieces, then one item with `done` and
 * the whole reply. The relay can also send `{waiting}` before the first text, and `{restart}` when the reply begins
 * again. The session decides whether the relay or a RunPod endpoint answers.
 *
 * @throws ApiProblem with the relay's or worker's code, `timeout`, or `unavailable` when the reply broke off. The text
 * that had arrived is `partialText`
 * @throws the signal's reason when the signal is aborted
 * @example
 * for await (const item of chat(session, { text: "こんばんは" }, { renew: api.session })) {
 *   if ("delta" in item) bubble.textContent += item.delta;
 *   else if ("restart" in item) bubble.textContent = "";
 *   else if ("done" in item) bubble.textContent = item.text;
 * }
 */
export async function* chat(
  session: Session,
  input: ChatInput,
  options: ChatOptions = {},
): AsyncGenerator<ChatItem, void, void> {
  const stop = createStop(options);
  let text = "";
  try {
    for await (const item of renewedChat(session, input, options, stop.signal)) {
      if ("delta" in item) text += item.delta;
      else if ("restart" in item) text = "";
      yield item;
    }
  } catch (error) {
    throw withPartialText(error, text);
  } finally {
    stop.release();
  }
}

/** Runs the chat, a second time with a new session when the first session was rejected. */
async function* renewedChat(
  session: Session,
  input: ChatInput,
  { renew, idleTimeoutMs = 30_000 }: ChatOptions,
  stop: AbortSignal,
): AsyncGenerator<ChatItem, void, void> {
  const start = (current: Session) =>
    current.inference.kind === "relay"
      ? relayChat(current, input, { stop, idleTimeoutMs })
      : runpodChat(current, input, stop);

  stop.throwIfAborted();
  const expiresSoon = Date.parse(session.ticket_expires_at) - RENEW_AHEAD_MS < Date.now();
  const fresh = expiresSoon && renew ? await untilStopped(renew(), stop) : session;
  let hasText = false;
  try {
    for await (const item of start(fresh)) {
      hasText ||= "delta" in item || "done" in item;
      yield item;
    }
    return;
  } catch (error) {
    if (!renew || hasText || !mayNewSessionHelp(error)) throw error;
  }
  yield* start(await untilStopped(renew(), stop));
}

/**
 * Whether a retry with a new session may succeed: the ticket has expired, or the ticket key or the endpoint key was
 * rotated.
 */
function mayNewSessionHelp(error: unknown): boolean {
  const codes = ["ticket_expired", "ticket_invalid", "ticket_wrong_model", "unauthorized"];
  return error instanceof ApiProblem && codes.includes(error.code);
}

function withPartialText(error: unknown, text: string): unknown {
  if (!(error instanceof ApiProblem) || text === "" || error.partialText !== undefined) return error;
  const { code, message, retryable, retryAfterMs } = error;
  return new ApiProblem(code, message, { cause: error, retryable, retryAfterMs, partialText: text });
}

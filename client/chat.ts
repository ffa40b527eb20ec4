import { ApiProblem } from "./problem";
import { relayChat } from "./relay";
import { runpodChat } from "./runpodJob";
import { CHAT_TIMEOUT_MS, createStop, onAbort, type StopOptions, untilStopped } from "./stop";
import type { ChatInput, ChatItem, Session } from "./types";

/** Cancellation, session renewal and time limits of one chat. */
export interface ChatOptions extends StopOptions {
  /**
   * Creates a new session. `chat` calls this function before the chat when the ticket is about to expire. `chat` also
   * calls it once when the relay, the worker or RunPod rejects the ticket or the key, unless text has already arrived.
   * Without this function, `chat` throws the error of the rejection.
   */
  renew?: (rejected: Session) => Promise<Session>;
  /** Time limit without a byte from the relay, which sends a heartbeat every 5 s. Default 30 s. */
  idleTimeoutMs?: number;
}

/** A reply that arrives. Iterate over it once. */
export interface Chat extends AsyncGenerator<ChatItem, void, void> {
  /** Stops the reply, also at the model. The iteration throws `ApiProblem` with the code `cancelled`. */
  cancel(): void;
}

/** A ticket that expires within this time is not fresh: it could expire while the chat waits in the queue. */
const RENEW_AHEAD_MS = 10_000;

/** Whether a session's ticket will be valid when the chat arrives. */
export function isFresh({ ticket_expires_at }: Session): boolean {
  return Date.parse(ticket_expires_at) - RENEW_AHEAD_MS > Date.now();
}

/**
 * Sends a message to the assistant and yields the reply as it arrives: `{delta}` pieces, then one item with `done` and
 * the whole reply. The relay can also send `{waiting}` before the first text, and `{restart}` when the reply begins
 * again. The session decides whether the relay or a RunPod endpoint answers.
 *
 * @throws ApiProblem with the relay's or worker's code, `timeout`, `cancelled`, or `unavailable` when the reply stopped
 * before its end. `partialText` is the text that had arrived
 * @throws the signal's reason when the signal is aborted
 * @example
 * for await (const item of chat(session, { text: "こんばんは" }, { renew: api.session })) {
 *   if ("delta" in item) bubble.textContent += item.delta;
 *   else if ("restart" in item) bubble.textContent = "";
 *   else if ("done" in item) bubble.textContent = item.text;
 * }
 */
export function chat(session: Session, input: ChatInput, options: ChatOptions = {}): Chat {
  const { renew } = options;
  return startChat(async () => (renew && !isFresh(session) ? renew(session) : session), input, options);
}

/**
 * Starts a chat. First opens the session.
 *
 * @param open returns a fresh session for the first attempt
 */
export function startChat(open: () => Promise<Session>, input: ChatInput, options: ChatOptions): Chat {
  const controller = new AbortController();
  return Object.assign(run(open, input, options, controller), {
    cancel: () => controller.abort(new ApiProblem("cancelled", "The reply was stopped.")),
  });
}

/** Runs the chat. When the session is rejected, runs the chat a second time with a new session. */
async function* run(
  open: () => Promise<Session>,
  input: ChatInput,
  options: ChatOptions,
  controller: AbortController,
): AsyncGenerator<ChatItem, void, void> {
  const { renew } = options;
  const { signal, release } = createStop(controller, options);
  let text = "";

  async function* chatWith(session: Session): AsyncGenerator<ChatItem, void, void> {
    for await (const item of attempt(session, input, options, signal)) {
      if ("delta" in item) text += item.delta;
      else if ("restart" in item) text = "";
      yield item;
    }
  }

  try {
    signal.throwIfAborted();
    const session = await untilStopped(open(), signal);
    try {
      return yield* chatWith(session);
    } catch (error) {
      if (!renew || text !== "" || !mayNewSessionHelp(error)) throw error;
    }
    yield* chatWith(await untilStopped(renew(session), signal));
  } catch (error) {
    if (error instanceof ApiProblem && text !== "") error.partialText ??= text;
    throw error;
  } finally {
    release();
  }
}

async function* attempt(
  session: Session,
  input: ChatInput,
  { idleTimeoutMs = 30_000, timeoutMs = CHAT_TIMEOUT_MS }: ChatOptions,
  stop: AbortSignal,
): AsyncGenerator<ChatItem, void, void> {
  stop.throwIfAborted();
  const { items, end } =
    session.inference.kind === "relay"
      ? relayChat(session, input, idleTimeoutMs)
      : runpodChat(session, input, timeoutMs);
  // When the visitor leaves the page, no code runs after this event.
  const removeListener = onAbort(stop, end);
  try {
    yield* items();
  } finally {
    removeListener();
    end();
  }
}

/**
 * Whether a retry with a new session may succeed: the ticket has expired, or the ticket key or the endpoint key was
 * rotated.
 */
function mayNewSessionHelp(error: unknown): boolean {
  return error instanceof ApiProblem && /^(?:ticket_(?!missing)|unauthorized)/.test(error.code);
}

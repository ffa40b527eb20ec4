import { randomText } from "./bytes";
import { open, readResponse, send } from "./http";
import { isDone, isItem } from "./items";
import { ApiProblem, parseJson, problemFromBody, problemFromResponse, textField } from "./problem";
import { createEventParser } from "./sse";
import type { ChatInput, ChatItem, Session } from "./types";

/** Limits of one chat over the relay. */
export interface RelayOptions {
  /** Aborting it closes the stream, cancels the chat and throws the signal's reason. */
  stop: AbortSignal;
  /** Time limit without a byte from the relay. */
  idleTimeoutMs: number;
}

const CANCEL_TIMEOUT_MS = 5_000;
/** Delays before the attempts to cancel a chat. The relay may not know the chat yet at the first ones. */
const CANCEL_DELAYS_MS = [0, 250, 500, 1_000, 2_000];

/**
 * Runs a chat over the relay and yields the items of its stream. Leaving the loop cancels the chat.
 *
 * @throws ApiProblem with the relay's code, `timeout` when the relay is silent, or `unavailable` when the stream broke
 * off
 */
export async function* relayChat(
  session: Session,
  input: ChatInput,
  { stop, idleTimeoutMs }: RelayOptions,
): AsyncGenerator<ChatItem, void, void> {
  stop.throwIfAborted();
  const chat = connect(session, idleTimeoutMs);
  // A page that is left runs no code after this event.
  const onStop = () => chat.close(stop.reason);
  stop.addEventListener("abort", onStop, { once: true });
  try {
    for await (const data of chat.events(input)) {
      const item = parseJson(data);
      const problem = problemFromBody(item, { partialText: textField(item, "text") });
      if (problem || isDone(item)) chat.finish();
      if (problem) throw problem;
      if (!isItem(item)) continue;
      yield item;
      if (isDone(item)) return;
      stop.throwIfAborted();
    }
    throw new ApiProblem("unavailable", "The reply broke off. Try again.");
  } finally {
    stop.removeEventListener("abort", onStop);
    chat.close();
  }
}

interface Connection {
  /** Sends the chat and yields the data of each server-sent event. */
  events(input: ChatInput): AsyncGenerator<string, void, void>;
  /** Notes that the relay no longer works on the chat. */
  finish(): void;
  /** Closes the stream. Cancels the chat in the background, unless it is finished or already cancelled. */
  close(reason?: unknown): void;
}

function connect({ inference }: Session, idleTimeoutMs: number): Connection {
  const { host } = new URL(inference.url);
  const base = inference.url.replace(/\/+$/, "");
  const headers = { Authorization: inference.authorization };
  const id = randomText();
  const closed = new AbortController();
  let running = true;
  let accepted = false;

  /** Waits for the next part of the response. Closes the stream when it does not arrive in time. */
  async function next<T>(part: Promise<T>): Promise<T> {
    const message = `${host} was silent for ${idleTimeoutMs / 1000} s. Try again.`;
    const timer = setTimeout(() => closed.abort(new ApiProblem("timeout", message)), idleTimeoutMs);
    try {
      return await part;
    } catch (cause) {
      closed.signal.throwIfAborted();
      const message = accepted ? "The reply broke off. Try again." : `${host} could not be reached.`;
      throw new ApiProblem("unavailable", message, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  function finish(): void {
    running = false;
  }

  return {
    async *events(input) {
      const response = await next(
        open({
          method: "POST",
          url: `${base}/chat`,
          headers: { ...headers, Accept: "text/event-stream", "Content-Type": "application/json" },
          body: JSON.stringify({ ...input, id }),
          signal: closed.signal,
        }),
      );
      if (!response.ok) {
        finish();
        throw problemFromResponse("POST /chat", await next(readResponse(response)));
      }
      accepted = true;
      const parse = createEventParser();
      // Not every browser can iterate over a response's body.
      const reader = response.body?.getReader();
      while (reader) {
        const { value } = await next(reader.read());
        if (!value) return;
        yield* parse(value);
      }
    },

    finish,

    close(reason) {
      closed.abort(reason);
      if (!running) return;
      running = false;
      void sendCancel(`${base}/chat/${id}/cancel`, headers, accepted);
    },
  };
}

/**
 * Cancels a chat. Ignores a failed cancellation, because the relay's own time limits end the chat anyway.
 *
 * @param accepted whether the relay knows the chat; otherwise a 404 can mean that the chat's request is still on its way
 */
async function sendCancel(url: string, headers: Record<string, string>, accepted: boolean): Promise<void> {
  for (const delayMs of CANCEL_DELAYS_MS) {
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const request = { method: "POST", url, headers, keepalive: true, timeoutMs: CANCEL_TIMEOUT_MS } as const;
    const response = await send(request).catch(() => undefined);
    if (response && (accepted || response.status !== 404)) return;
  }
}

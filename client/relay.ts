import { randomText } from "./bytes";
import { jsonRequest, open, readResponse, sendLast, silent, unreachable } from "./http";
import { isDone, isItem } from "./items";
import { ApiProblem, parseJson, problemFromBody, problemFromResponse, textField } from "./problem";
import { createEventParser } from "./sse";
import { type Attempt, delay } from "./stop";
import type { ChatInput, ChatItem, Session } from "./types";

/**
 * Delays before the attempts to cancel a chat. At the first attempts, the relay can be busy, or the chat can still be
 * unknown to it.
 */
const CANCEL_DELAYS_MS = [0, 250, 500, 1_000, 2_000];

/**
 * Prepares a chat over the relay. The iteration over its items throws `ApiProblem` with the relay's code, `timeout`
 * when the relay is silent, or `unavailable` when the stream stopped before its end.
 *
 * @param idleTimeoutMs time limit without a byte from the relay
 */
export function relayChat({ inference }: Session, input: ChatInput, idleTimeoutMs: number): Attempt {
  const id = randomText();
  const closed = new AbortController();
  let running = true;
  let accepted = false;

  /** Waits for the next part of the response. Closes the stream when it does not arrive in time. */
  async function next<T>(part: Promise<T>): Promise<T> {
    const timer = setTimeout(() => closed.abort(silent(inference.url, idleTimeoutMs)), idleTimeoutMs);
    try {
      return await part;
    } catch (cause) {
      closed.signal.throwIfAborted();
      throw accepted ? brokenOff(cause) : unreachable(inference.url, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends the chat and yields the data of each server-sent event. */
  async function* events(): AsyncGenerator<string, void, void> {
    const request = jsonRequest("POST", inference, "/chat", { ...input, id });
    const headers = { ...request.headers, Accept: "text/event-stream" };
    const response = await next(open({ ...request, headers, signal: closed.signal }));
    if (!response.ok) {
      running = false;
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
  }

  /**
   * Cancels the chat at the relay, and retries after a failure. Ignores a failure of the last attempt, because the
   * relay's own time limits end the chat anyway. A 404 means that the chat has ended. Before the relay has accepted the
   * chat, a 404 can also mean that the chat's request has not arrived yet.
   */
  async function cancelAtRelay(): Promise<void> {
    for (const delayMs of CANCEL_DELAYS_MS) {
      if (delayMs > 0) await delay(delayMs);
      const response = await sendLast(jsonRequest("POST", inference, `/chat/${id}/cancel`));
      if (response?.ok || (accepted && response?.status === 404)) return;
    }
  }

  return {
    async *items() {
      for await (const data of events()) {
        const item = parseJson(data);
        const problem = problemFromBody(item, { partialText: textField(item, "text") });
        if (problem || isDone(item)) running = false;
        if (problem) throw problem;
        if (isItem(item)) yield item as ChatItem;
        if (isDone(item)) return;
        closed.signal.throwIfAborted();
      }
      throw brokenOff();
    },

    end(reason) {
      closed.abort(reason);
      if (running) void cancelAtRelay();
      running = false;
    },
  };
}

function brokenOff(cause?: unknown): ApiProblem {
  return new ApiProblem("unavailable", "The reply broke off.", { cause });
}

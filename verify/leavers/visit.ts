import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, type Session } from "../../client";

/** Times of a client's chat, as `performance.now()`. */
export interface Visit {
  leftAtMs: number;
  /** Whether text had arrived when the client left. */
  hadText: boolean;
}

/**
 * Starts a chat and leaves after `stayMs` like a browser page. Aborts the product's client, which then cancels the
 * chat.
 *
 * @throws Error when the chat ends before the client leaves
 */
export async function leaveWithCancel(session: Session, text: string, stayMs: number): Promise<Visit> {
  const leaving = new AbortController();
  let leftAtMs = 0;
  setTimeout(() => {
    leftAtMs = performance.now();
    leaving.abort();
  }, stayMs);
  let hadText = false;
  try {
    for await (const item of chat(session, { text }, { signal: leaving.signal })) hadText ||= "delta" in item;
  } catch (error) {
    if (leaving.signal.aborted) return { leftAtMs, hadText };
    throw new Error(`${text}: the chat failed before its client left`, { cause: error });
  }
  throw new Error(`${text}: the chat ended before its client left`);
}

/**
 * Starts a chat and leaves after `stayMs` without the cancel call. Only closes the connection.
 *
 * @throws Error when the chat ends before the client leaves
 */
export async function leaveWithoutCancel(session: Session, text: string, stayMs: number): Promise<Visit> {
  const { url, authorization } = session.inference;
  const headers = { authorization, accept: "text/event-stream", "content-type": "application/json" };
  const outgoing = request(`${url}/chat`, { method: "POST", agent: false, headers });
  let hadText = false;
  let ended: string | undefined;
  const end = (reason: string) => {
    ended ??= reason;
  };
  outgoing.on("error", ({ message }) => end(message));
  outgoing.on("response", (response) => {
    response.on("data", (chunk: Buffer) => {
      hadText ||= chunk.includes('"delta"');
    });
    response.on("error", ({ message }) => end(message)).on("end", () => end(`status ${response.statusCode}`));
  });
  outgoing.end(JSON.stringify({ text }));
  await sleep(stayMs);
  if (ended !== undefined) throw new Error(`${text}: the chat ended before its client left: ${ended}`);
  outgoing.destroy();
  return { leftAtMs: performance.now(), hadText };
}

import { ApiProblem, chat, type Session } from "../../client";
import type { ErrorCode } from "../../contract/errors";

const greeting = "こんばんは";

/** Number of replies of which at least one must arrive in several pieces. */
const STREAM_ATTEMPTS = 3;

/** A whole reply of a chat. */
export interface Reply {
  text: string;
  /** Version of the model that answered. */
  version: string;
  /** Number of pieces in which the text arrived. */
  pieces: number;
  /** Milliseconds from sending the message to the first text. */
  ttftMs: number;
  /** Milliseconds from sending the message to the end of the reply. */
  totalMs: number;
}

/** Chats until a reply arrives in several pieces. A reply that ends before the first poll of its job is one piece. */
export async function talk(session: Session): Promise<Reply> {
  for (let attempt = 1; attempt <= STREAM_ATTEMPTS; attempt++) {
    const reply = await talkOnce(session);
    if (reply.pieces > 1) return reply;
  }
  throw new Error(`${STREAM_ATTEMPTS} replies came in one piece each: they were not streamed`);
}

/** Sends one message and reads the whole reply. @throws ApiProblem when the chat fails */
export async function talkOnce(session: Session): Promise<Reply> {
  const startedAt = performance.now();
  const sinceStart = () => Math.round(performance.now() - startedAt);
  let ttftMs: number | undefined;
  let pieces = 0;
  for await (const item of chat(session, { text: greeting })) {
    if ("delta" in item) {
      ttftMs ??= sinceStart();
      pieces += 1;
    }
    if ("done" in item) {
      const { text, model } = item;
      return { text, version: model.version, pieces, ttftMs: ttftMs ?? sinceStart(), totalMs: sinceStart() };
    }
  }
  throw new Error("The chat ended without a reply");
}

/**
 * Sends a request that must be refused with the expected error code.
 *
 * @returns the code
 * @throws Error when the request gets a reply or another error
 */
export async function refusal(session: Session, expected: ErrorCode): Promise<string> {
  const code = await talk(session).then(
    () => "an answer",
    (error: unknown) => (error instanceof ApiProblem ? error.code : String(error)),
  );
  if (code !== expected) throw new Error(`Expected a refusal with ${expected}, got ${code}`);
  return code;
}

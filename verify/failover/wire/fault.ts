import type { VendorError } from "./wire";

/**
 * Fault of one request. Times are milliseconds at the scale 1.
 *
 * - `none`: a whole reply.
 * - `refuse`: an error response.
 * - `reset`: the connection is reset before any byte of the response.
 * - `silent`: the request is accepted and never answered.
 * - `slow`: the first text comes late, and the tokens can have longer pauses.
 * - `cut`: the stream ends in the middle, with a closed connection (`closed`) or as a well-formed HTTP body (`ended`).
 * - `stall`: the stream sends nothing for a while, then closes.
 * - `malformed`: one event does not follow the format; the stream continues.
 * - `unterminated`: the vendor's own last event is missing. The connection ends, or stays open.
 * - `filtered`: the provider refuses the content. The finish reason says this.
 */
export type Fault =
  | { kind: "none" }
  | { kind: "refuse"; error: VendorError; retryAfterMs?: number }
  | { kind: "reset" }
  | { kind: "silent" }
  | { kind: "slow"; firstTextMs: number; tokenPauseMs?: number }
  | { kind: "cut"; afterTokens: number; connection: "closed" | "ended" }
  | { kind: "stall"; afterTokens: number; silentMs: number }
  | { kind: "malformed"; afterTokens: number }
  | { kind: "unterminated"; connection: "ended" | "open" }
  | { kind: "filtered" };

/** Tokens of a whole reply. */
export const TOKENS = 60;

/** Default pause between two tokens at the scale 1. */
export const TOKEN_PAUSE_MS = 15;

/** Pause between two tokens of a reply with this fault, at the scale 1. */
export function tokenPauseMs(fault: Fault): number {
  return (fault.kind === "slow" && fault.tokenPauseMs) || TOKEN_PAUSE_MS;
}

/** Token of a provider's reply: the provider's character and a number, so that a lost or repeated token is visible. */
export function token(mark: string, index: number): string {
  return `${mark}${String(index + 1).padStart(2, "0")}`;
}

/** The whole reply of a provider. The reply is shorter than 200 characters, so the relay is allowed to restart it. */
export function wholeReply(mark: string): string {
  return Array.from({ length: TOKENS }, (_, index) => token(mark, index)).join("");
}

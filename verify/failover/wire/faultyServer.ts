import type { Fault } from "./fault";
import type { JsonResponse } from "./http";
import type { Chat } from "./wire";

/** One request that a faulty provider received. Times are `performance.now()`. */
export interface SeenRequest {
  atMs: number;
  body: unknown;
  /** Requested model. Empty when the request was not valid. */
  model: string;
  /** Characters of all messages. 0 when the request was not valid. */
  promptChars: number;
  /** Fault that was played. `invalid` when the wire refused the request. */
  fault: Fault["kind"] | "invalid";
  /** The wire's error for an invalid request. */
  refusal?: JsonResponse;
  /** Number of tokens sent. */
  tokens: number;
  /** Whether the whole reply was sent. */
  complete: boolean;
  /** Time at which the client closed the connection, or cancelled the job, before the end of the reply. */
  abandonedAtMs?: number;
}

/** Creates the record of a new request. Its model and size are unknown until the wire accepts the request. */
export function seenRequest(body: unknown): SeenRequest {
  return { atMs: performance.now(), body, model: "", promptChars: 0, fault: "invalid", tokens: 0, complete: false };
}

/** Returns the fault of a request. `index` counts the valid requests from 0. */
export type Script = (chat: Chat, index: number) => Fault;

/** A running server that replaces a provider and plays faults over real connections. */
export interface FaultyServer {
  /** Base URL of the vendor's API, without `/v1`. */
  url: string;
  /** All requests for a reply since the last `play`. */
  requests: SeenRequest[];
  /** Replaces the script and forgets the requests. */
  play(script: Script): void;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

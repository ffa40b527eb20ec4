import type { RelayItem } from "../../contract/relay";
import type { SeenRequest } from "./wire/faultyServer";

/** A chat as its caller sees it. Times are in milliseconds at the scale 1. */
export interface SeenReply {
  items: RelayItem[];
  totalMs: number;
  /** Billed tokens, one number per settlement of the account's usage. */
  billedTokens: number[];
}

/** Last item of a complete reply. */
export type Done = Extract<RelayItem, { done: true }>;

/** A chat as its caller and both providers see it. */
export interface Seen {
  reply: SeenReply;
  /** Requests at the provider that plays faults. */
  primary: SeenRequest[];
  /** Requests at the healthy provider. Empty when there is no healthy provider. */
  fallback: SeenRequest[];
  /** Whether the relay has no second provider to ask. */
  isOneRoute: boolean;
  /** Divisor of all times. */
  scale: number;
}

/** The last item of a complete reply. Undefined for an error. */
export function doneOf({ items }: SeenReply): Done | undefined {
  return items.flatMap((item) => ("done" in item ? item : [])).at(-1);
}

/** The code of the error that ended a reply. Undefined for a complete reply. */
export function errorOf({ items }: SeenReply): string | undefined {
  return items.flatMap((item) => ("error" in item ? item.error.code : [])).at(-1);
}

/** The text that the caller shows at the end: all deltas since the last restart. */
export function shownText({ items }: SeenReply): string {
  const from = items.findLastIndex((item) => "restart" in item) + 1;
  return items
    .slice(from)
    .map((item) => ("delta" in item ? item.delta : ""))
    .join("");
}

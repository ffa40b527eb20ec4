import { type Deadlines, deadlinesOf } from "../../functions/core/relay/deadlines";
import type { Provider } from "../../functions/core/relay/provider";

/** Longest time of a chat. The product's is 60 s for external LLMs and 240 s for GPU workers. */
export const CAP_MS = 6_000;
/** Longest time to the first text. The product's is 12 s for external LLMs and 180 s for GPU workers. */
const FIRST_TEXT_MS = 5_000;

/** The product's deadlines with a shorter chat, so that a check need not wait for minutes. */
export function shortDeadlines(provider: Pick<Provider, "name">): Deadlines {
  return { ...deadlinesOf(provider), firstTextMs: FIRST_TEXT_MS, totalMs: CAP_MS };
}

import { type Deadlines, deadlinesOf } from "../../functions/core/relay/deadlines";
import type { Provider } from "../../functions/core/relay/provider";

/** Longest time of a chat. In the product it is 60 s for external LLMs and 240 s for GPU workers. */
export const CAP_MS = 6_000;
/** Longest time to the first text. In the product it is 12 s for external LLMs and 180 s for GPU workers. */
const FIRST_TEXT_MS = 5_000;

/** The product's deadlines with shorter times, so that a check takes seconds instead of minutes. */
export function shortDeadlines(provider: Pick<Provider, "name">): Deadlines {
  return { ...deadlinesOf(provider), firstTextMs: FIRST_TEXT_MS, totalMs: CAP_MS };
}

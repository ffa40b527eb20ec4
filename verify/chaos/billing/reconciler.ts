import { type Invocation, Unavailable } from "./invocation";
import type { Row } from "./row";
import type { StripeEvent } from "./scenario";
import type { Strategy } from "./strategies";
import type { VirtualTime } from "./virtualTime";

export interface ReconcilerSources {
  time: VirtualTime;
  row: Row;
  /** Events that Stripe lists under `delivery_success=false`, oldest first. */
  undelivered: ReadonlySet<StripeEvent>;
  /** Events that a function has handled, even when Stripe did not receive the function's answer. */
  handled: ReadonlySet<StripeEvent>;
  handle(event: StripeEvent, invocation: Invocation): Promise<void>;
  refresh: Strategy["refresh"];
}

/** Same values as in `functions/reconciler.ts`. */
const MIN_AGE_MS = 60_000;
const CONCURRENCY = 4;

/** Simulates the scheduled function that repairs rows after lost events. */
export function createReconciler({ time, row, undelivered, handled, handle, refresh }: ReconcilerSources): {
  /** Whether a run at this moment would have any effect. */
  hasWork(): boolean;
  run(invocation: Invocation): Promise<void>;
} {
  const unhandled = () =>
    [...undelivered].filter((event) => event.created * 1000 <= time.now - MIN_AGE_MS && !handled.has(event));
  const isDue = () => refresh !== undefined && row.reviewAt !== null && row.reviewAt.getTime() <= time.now;

  return {
    hasWork: () => isDue() || unhandled().length > 0,

    async run(invocation) {
      let failed = 0;
      const attempt = (work: Promise<void> | undefined) =>
        work?.catch((error: unknown) => {
          if (!(error instanceof Unavailable)) throw error;
          failed += 1;
        });
      const events = (await invocation.stripe(unhandled)).values();
      const lane = async () => {
        for (const event of events) await attempt(handle(event, invocation));
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, lane));
      if (await invocation.table(isDue)) await attempt(refresh?.(invocation));
      if (failed > 0) throw new Unavailable("part of the reconciler's work");
    },
  };
}

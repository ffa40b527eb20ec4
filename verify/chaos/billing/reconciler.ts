import { type Invocation, Unavailable } from "./invocation";
import type { Row } from "./rows";
import type { StripeEvent } from "./story";
import type { Strategy } from "./strategies";
import type { VirtualTime } from "./virtualTime";

/** What the reconciler looks at and works with. */
export interface ReconcilerSources {
  time: VirtualTime;
  row: Row;
  /** The events that Stripe lists under `delivery_success=false`, oldest first. */
  undelivered: ReadonlySet<StripeEvent>;
  /** Those that were handled, delivered or not. */
  handled: ReadonlySet<StripeEvent>;
  handle(event: StripeEvent, invocation: Invocation): Promise<void>;
  refresh: Strategy["refresh"];
}

/** As in `functions/reconciler.ts`. */
const YOUNGEST_MS = 60_000;
const AT_ONCE = 4;

/** The scheduled function that finds what no event has told. */
export function createReconciler({ time, row, undelivered, handled, handle, refresh }: ReconcilerSources): {
  /** Whether there is anything to find now; a run without has no effect, and need not be played. */
  hasWork(): boolean;
  run(invocation: Invocation): Promise<void>;
} {
  const unhandled = () =>
    [...undelivered].filter((event) => event.created * 1000 <= time.now - YOUNGEST_MS && !handled.has(event));
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
      await Promise.all(Array.from({ length: AT_ONCE }, lane));
      if (await invocation.table(isDue)) await attempt(refresh?.(invocation));
      if (failed > 0) throw new Unavailable("some of the work");
    },
  };
}

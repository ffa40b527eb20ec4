import type { Events } from "../../support/events";
import { Pauses, type Timers } from "../support/timers";
import { functionName } from "./resources";

/** Delays before the two retries of an asynchronous event, as in Lambda. */
const RETRY_AFTER_MS = [60_000, 120_000] as const;

/** Dependencies of the queue. */
export interface LambdaQueueOptions {
  events: Events;
  timers: Timers;
  /** Runs a Lambda; rejects when it fails. */
  invoke: (functionNameOrArn: string, event: unknown, requestId?: string) => Promise<unknown>;
}

/**
 * Asynchronous invocations of Lambda: the queue accepts an event at once, runs it in the background and retries
 * failures.
 */
export class LambdaQueue {
  private readonly pauses: Pauses;

  constructor(private readonly options: LambdaQueueOptions) {
    this.pauses = new Pauses(options.timers);
  }

  /** Accepts an event. Resolves when the function has succeeded or the last retry has failed; never rejects. */
  async accept(reference: string, event: unknown, requestId?: string): Promise<void> {
    for (const delayMs of [...RETRY_AFTER_MS, undefined]) {
      try {
        await this.options.invoke(reference, event, requestId);
        return;
      } catch {
        // The invocation has already logged the error.
        if (delayMs === undefined) break;
        if (!(await this.pauses.pause(delayMs))) return;
      }
    }
    const attempts = RETRY_AFTER_MS.length + 1;
    const summary = `${functionName(reference)}: asynchronous event dropped after ${attempts} attempts`;
    this.options.events.emit({ source: "lambda", summary });
  }

  /** Cancels all retries. */
  async close(): Promise<void> {
    this.pauses.end();
  }
}

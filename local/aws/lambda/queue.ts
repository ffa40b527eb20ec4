import type { Events } from "../../support/events";
import { Pauses, type Timers } from "../support/timers";
import { functionName } from "./lambda";

/** Lambda runs an asynchronous event three times at most, a minute after the first error and two after the second. */
const RETRY_AFTER_MS = [60_000, 120_000] as const;

/** What the queue needs of the rest of the local cloud. */
export interface LambdaQueueOptions {
  events: Events;
  timers: Timers;
  /** Runs a Lambda; rejects when it fails. */
  invoke: (functionNameOrArn: string, event: unknown, requestId?: string) => Promise<unknown>;
}

/** Lambda's asynchronous invocations: an event is taken at once, run in the background, and tried again when it fails. */
export class LambdaQueue {
  private readonly pauses: Pauses;

  constructor(private readonly options: LambdaQueueOptions) {
    this.pauses = new Pauses(options.timers);
  }

  /** Takes an event. Resolves when its function has run without an error or will not be tried again; never rejects. */
  async accept(reference: string, event: unknown, requestId?: string): Promise<void> {
    for (const delayMs of [...RETRY_AFTER_MS, undefined]) {
      try {
        await this.options.invoke(reference, event, requestId);
        return;
      } catch {
        // The invocation has told of itself.
        if (delayMs === undefined) break;
        if (!(await this.pauses.pause(delayMs))) return;
      }
    }
    const attempts = RETRY_AFTER_MS.length + 1;
    const summary = `${functionName(reference)}: an asynchronous event is dropped after ${attempts} attempts`;
    this.options.events.emit({ source: "lambda", summary });
  }

  /** Tries nothing again from now on. */
  async close(): Promise<void> {
    this.pauses.end();
  }
}

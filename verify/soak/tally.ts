import { ApiProblem } from "../../client";
import { errorCodes } from "../../contract/errors";
import type { Area, Timeline } from "./timeline";

/** Errors of the product that a run has found, by kind. */
export interface Findings {
  /** Stripe's events that were never handled, and replies whose text is incomplete or in the wrong order. */
  lostEvents: string[];
  /** Accounts whose plan differs from the purchased plan. */
  wrongPlans: string[];
  /** Errors with a status of 500 or more that no fault explains. */
  unexpected5xx: string[];
  /** All other errors that no fault explains. */
  unexpectedErrors: string[];
}

/** Counts what the customers see. */
export class Tally implements Findings {
  readonly lostEvents: string[] = [];
  readonly wrongPlans: string[] = [];
  readonly unexpected5xx: string[] = [];
  readonly unexpectedErrors: string[] = [];
  /** Complete replies. */
  chats = 0;
  /** Errors that an active fault explains. */
  excused = 0;

  constructor(private readonly timeline: Timeline) {}

  /** Number of all findings. */
  get findings(): number {
    const { lostEvents, wrongPlans, unexpected5xx, unexpectedErrors } = this;
    return [lostEvents, wrongPlans, unexpected5xx, unexpectedErrors].reduce((sum, { length }) => sum + length, 0);
  }

  /**
   * Judges an error. A fault explains only errors that ask the customer to try again later.
   *
   * @param action customer and action, for the message
   * @param beganMs start of the action, as `performance.now()`
   */
  judge(error: unknown, action: string, areas: readonly Area[], beganMs: number): void {
    const status = error instanceof ApiProblem ? errorCodes[error.code].status : isTimeout(error) ? 504 : 0;
    if ((status >= 500 || status === 429) && this.timeline.explains(areas, beganMs)) {
      this.excused++;
      return;
    }
    const seconds = Math.round((performance.now() - beganMs) / 100) / 10;
    const text = error instanceof ApiProblem ? `${error.code}: ${error.message}` : String(error);
    (status >= 500 ? this.unexpected5xx : this.unexpectedErrors).push(`${action}, after ${seconds} s: ${text}`);
  }

  /**
   * Judges a server error that the webhook has sent to Stripe.
   *
   * @param answer status and note of the answer
   */
  judgeWebhook(answer: string, durationMs: number): void {
    if (this.timeline.explains(["webhook"], performance.now() - durationMs)) this.excused++;
    else this.unexpected5xx.push(`the webhook answers ${answer}, after ${Math.round(durationMs)} ms`);
  }
}

/** Whether a page did not answer within the time limit of `fetch`. */
function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

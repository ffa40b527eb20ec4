import type { Events } from "../../support/events";
import { refusal } from "../iam/callers";
import type { AwsAccount } from "../support/account";
import { Pauses, type Timers } from "../support/timers";
import { FunctionError } from "./lambda";
import { eventInvokeConfig, functionName, invokeConfig, lambdaFunction } from "./resources";

/** Delays before the retries of an asynchronous event, as in Lambda. */
const RETRY_AFTER_MS = [60_000, 120_000] as const;

/** Dependencies of the queue. */
export interface LambdaQueueOptions {
  account: AwsAccount;
  events: Events;
  timers: Timers;
  /** Runs a Lambda; rejects when it fails. */
  invoke: (functionNameOrArn: string, event: unknown, requestId?: string) => Promise<unknown>;
  send: (queueArn: string, message: unknown) => void;
}

/**
 * Asynchronous invocations of Lambda. The queue accepts an event at once and runs it in the background. It retries a
 * failed event. After the last retry, it sends the event to the function's destination.
 */
export class LambdaQueue {
  private readonly pauses: Pauses;

  constructor(private readonly options: LambdaQueueOptions) {
    this.pauses = new Pauses(options.timers);
  }

  /** Accepts an event. Resolves when the function has succeeded or the last retry has failed. Never rejects. */
  async accept(reference: string, event: unknown, requestId?: string): Promise<void> {
    const name = functionName(reference);
    const { retries, destination } = invokeConfig(
      this.options.account.get(eventInvokeConfig.type, name)?.outputs ?? { functionName: name },
    );
    let failure: unknown;
    for (const delayMs of [...RETRY_AFTER_MS.slice(0, retries), undefined]) {
      try {
        await this.options.invoke(reference, event, requestId);
        return;
      } catch (error) {
        // The invocation has already logged the error.
        failure = error;
        if (delayMs === undefined) break;
        if (!(await this.pauses.pause(delayMs))) return;
      }
    }
    const attempts = retries + 1;
    const summary = `${name}: asynchronous event dropped after ${attempts} attempt${attempts === 1 ? "" : "s"}`;
    this.options.events.emit({ source: "lambda", summary });
    if (destination !== undefined) this.sendFailed(name, destination, failedEvent(reference, event, attempts, failure));
  }

  /**
   * Sends a failed event to the function's destination. As at AWS, drops the event when the function's role is not
   * allowed to write to the destination.
   */
  private sendFailed(name: string, destination: string, message: unknown): void {
    const { account, send } = this.options;
    const roleArn = String(account.get(lambdaFunction.type, name)?.outputs.role);
    const access = { action: "sqs:SendMessage", resource: destination };
    if (refusal(account, roleArn, [access]) === undefined) send(destination, message);
  }

  /** Cancels all retries. */
  async close(): Promise<void> {
    this.pauses.end();
  }
}

/** Message in the form that Lambda sends to an on-failure destination. */
function failedEvent(functionArn: string, event: unknown, attempts: number, failure: unknown) {
  return {
    version: "1.0",
    requestContext: { functionArn, condition: "RetriesExhausted", approximateInvokeCount: attempts },
    requestPayload: event,
    responsePayload: failure instanceof FunctionError ? failure.payload : { errorMessage: String(failure) },
  };
}

import type { Random } from "../random";
import type { VirtualTime } from "./virtualTime";

/** Probabilities of each failure while a function runs. */
const CRASH_PROBABILITY = 0.04;
const MAX_STEPS_BEFORE_CRASH = 16;
const STRIPE_FAILURE_PROBABILITY = 0.02;
const THROTTLED_PROBABILITY = 0.03;
const ANSWER_LOST_PROBABILITY = 0.02;
/** Maximum number of attempts, the same as production configures for the AWS SDK and for stripe-node. */
const TABLE_ATTEMPTS = 3;
const STRIPE_ATTEMPTS = 2;
/** Lambda timeouts, the same as in `infra/billing.ts`. */
export const TIMEOUT_MS = { webhook: 29_000, visit: 29_000, reconciler: 300_000 } as const;

/** A service that the functions call. */
export type Dependency = "table" | "stripe";

/**
 * A fault of Stripe's key in Parameter Store. `key`: the key was replaced. Each call first gets a 401, and then the
 * function reads the new key. `account`: the key belongs to another account, which does not know the customer.
 */
export type KeyFault = "key" | "account";

/** Conditions under which one function runs. */
export interface Conditions {
  time: VirtualTime;
  random: Random;
  /** Whether a dependency has an outage at the current virtual time. */
  isDown: (dependency: Dependency | KeyFault) => boolean;
  timeoutMs: number;
}

/** Thrown when a call gets no answer. The real functions throw ApiError `unavailable` instead. */
export class Unavailable extends Error {}

/**
 * One run of a function. Each call takes time. A call can fail. A call can also succeed although its answer gets lost.
 * The function can crash between any two steps. Two invocations with the same random stream get the same failures.
 */
export class Invocation {
  private readonly endsAt: number;
  private stepsLeft: number;
  private ended = false;

  constructor(private readonly conditions: Conditions) {
    const { time, random, timeoutMs } = conditions;
    this.endsAt = time.now + timeoutMs;
    this.stepsLeft = random.chance(CRASH_PROBABILITY) ? random.int(0, MAX_STEPS_BEFORE_CRASH) : Infinity;
  }

  /**
   * Runs a function to its end.
   *
   * @param done called once: with true when the function returned, with false when it threw, crashed or timed out
   */
  start(work: (invocation: Invocation) => Promise<void>, done: (success: boolean) => void): void {
    const end = (success: boolean): void => {
      if (this.ended) return;
      this.ended = true;
      done(success);
    };
    this.crash = () => end(false);
    work(this).then(
      () => end(true),
      (error: unknown) => {
        end(false);
        // An error other than Unavailable is a bug in the simulation or in the code under test.
        if (!(error instanceof Unavailable)) this.conditions.time.fail(error);
      },
    );
  }

  /** Reads from Stripe. @throws Unavailable */
  async stripe<T>(read: () => T): Promise<T> {
    const { isDown, random } = this.conditions;
    for (let attempt = 1; attempt <= STRIPE_ATTEMPTS; attempt += 1) {
      await this.step(this.latency(60, 400));
      // Time for the 401 and for reading the parameter again.
      if (isDown("key")) await this.step(this.latency(60, 400));
      if (isDown("stripe") || random.chance(STRIPE_FAILURE_PROBABILITY)) continue;
      const answer = read();
      await this.step(this.latency(20, 100));
      return answer;
    }
    throw new Unavailable("Stripe");
  }

  /**
   * Reads whether Stripe knows the customer's id.
   *
   * @throws Unavailable
   */
  knowsCustomer(): Promise<boolean> {
    return this.stripe(() => !this.conditions.isDown("account"));
  }

  /**
   * Performs one operation on the table.
   *
   * @throws Unavailable when the operation failed, or when it succeeded but its answer got lost
   */
  async table<T>(operation: () => T): Promise<T> {
    const { isDown, random } = this.conditions;
    for (let attempt = 1; attempt <= TABLE_ATTEMPTS; attempt += 1) {
      await this.step(this.latency(2, 15));
      if (!isDown("table") && !random.chance(THROTTLED_PROBABILITY)) {
        const answer = operation();
        await this.step(this.latency(2, 15));
        if (!random.chance(ANSWER_LOST_PROBABILITY)) return answer;
      }
      // The client gives up after half of the failures. It retries after the other half, even if the operation
      // succeeded.
      if (random.chance(0.5)) break;
    }
    throw new Unavailable("users table");
  }

  private crash = (): void => {};

  /** Random latency: 90 % between the bounds, 9 % up to 2 s longer, 1 % up to 10 s longer. */
  private latency(lowMs: number, highMs: number): number {
    const { random } = this.conditions;
    const rank = random.next();
    const typical = random.between(lowMs, highMs);
    if (rank < 0.9) return typical;
    return typical + (rank < 0.99 ? random.between(100, 2_000) : random.between(1_000, 10_000));
  }

  /**
   * Lets virtual time pass. Never resolves when the function crashes or times out, so that its remaining code does not
   * run.
   */
  private async step(ms: number): Promise<void> {
    this.stepsLeft -= 1;
    const { time } = this.conditions;
    const left = this.endsAt - time.now;
    await time.sleep(Math.min(ms, left));
    if (!this.ended && this.stepsLeft >= 0 && ms < left) return;
    this.crash();
    await new Promise(() => {});
  }
}

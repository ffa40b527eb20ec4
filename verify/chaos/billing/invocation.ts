import type { Random } from "../random";
import type { VirtualTime } from "./virtualTime";

/** What goes wrong while a function runs. */
const CRASHES = 0.04;
const STEPS_BEFORE_CRASH = 16;
const STRIPE_FAILURES = 0.02;
const THROTTLED = 0.03;
const ANSWER_LOST = 0.02;
/** As the clients are configured: the AWS SDK's attempts, and stripe-node's. */
const TABLE_ATTEMPTS = 3;
const STRIPE_ATTEMPTS = 2;
/** When Lambda ends a function that is still running, as `infra/billing.ts` has it. */
export const TIMEOUT_MS = { webhook: 29_000, visit: 29_000, reconciler: 300_000 } as const;

/** What every function depends on. */
export type Dependency = "table" | "stripe";

/** What a function runs in. */
export interface Circumstances {
  time: VirtualTime;
  random: Random;
  /** Whether a dependency has an outage now. */
  isDown: (dependency: Dependency) => boolean;
  timeoutMs: number;
}

/** What a call throws when its service has not answered. The functions throw ApiError `unavailable` there. */
export class Unavailable extends Error {}

/**
 * One run of a function: its calls take their time, fail, are answered without the answer arriving, and the whole of it
 * may end between any two steps. Two invocations with the same random stream have the same luck.
 */
export class Invocation {
  private readonly endsAt: number;
  private stepsLeft: number;
  private ended = false;

  constructor(private readonly circumstances: Circumstances) {
    const { time, random, timeoutMs } = circumstances;
    this.endsAt = time.now + timeoutMs;
    this.stepsLeft = random.chance(CRASHES) ? random.int(0, STEPS_BEFORE_CRASH) : Infinity;
  }

  /**
   * Runs a function to its end.
   *
   * @param done called once: true when it has come to its end, false when it threw, crashed or was timed out
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
        // A bug, in the harness or in what it runs, is not bad luck.
        if (!(error instanceof Unavailable)) this.circumstances.time.fail(error);
      },
    );
  }

  /** Reads from Stripe. Throws Unavailable. */
  async stripe<T>(read: () => T): Promise<T> {
    const { isDown, random } = this.circumstances;
    for (let attempt = 1; attempt <= STRIPE_ATTEMPTS; attempt += 1) {
      await this.pass(this.latency(60, 400));
      if (isDown("stripe") || random.chance(STRIPE_FAILURES)) continue;
      const answer = read();
      await this.pass(this.latency(20, 100));
      return answer;
    }
    throw new Unavailable("Stripe");
  }

  /** Does one operation on the table. Throws Unavailable, which may be after it was done. */
  async table<T>(operation: () => T): Promise<T> {
    const { isDown, random } = this.circumstances;
    for (let attempt = 1; attempt <= TABLE_ATTEMPTS; attempt += 1) {
      await this.pass(this.latency(2, 15));
      if (!isDown("table") && !random.chance(THROTTLED)) {
        const answer = operation();
        await this.pass(this.latency(2, 15));
        if (!random.chance(ANSWER_LOST)) return answer;
      }
      // What has failed once often fails until the client gives up; else it tries again, though it may have been done.
      if (random.chance(0.5)) break;
    }
    throw new Unavailable("users table");
  }

  private crash = (): void => {};

  /** Mostly short; sometimes long; seldom very long. */
  private latency(lowMs: number, highMs: number): number {
    const { random } = this.circumstances;
    const luck = random.next();
    const typical = random.between(lowMs, highMs);
    if (luck < 0.9) return typical;
    return typical + (luck < 0.99 ? random.between(100, 2_000) : random.between(1_000, 10_000));
  }

  /** Takes time. Never comes back when the function crashes, or its time is up: nothing after it is done then. */
  private async pass(ms: number): Promise<void> {
    this.stepsLeft -= 1;
    const { time } = this.circumstances;
    const left = this.endsAt - time.now;
    await time.sleep(Math.min(ms, left));
    if (!this.ended && this.stepsLeft >= 0 && ms < left) return;
    this.crash();
    await new Promise(() => {});
  }
}

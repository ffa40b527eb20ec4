import { setTimeout as delay } from "node:timers/promises";
import type { Cooldowns } from "./cooldown";
import { type Deadlines, withDeadlines } from "./deadlines";
import { type FailureCause, type FailureCode, failures } from "./failure";
import { refusalSentence } from "./mama";
import {
  type Provider,
  type ProviderChat,
  type ProviderEnd,
  type ProviderEvent,
  ProviderFailure,
  type TokenUsage,
} from "./provider";
import { estimateUsage } from "./usage";

/** Maximum number of calls for one chat, over all providers. */
const MAX_CALLS = 6;
/** Maximum number of calls to one provider with the same conversation. */
const MAX_SAME_CALLS = 2;
/** Longest wait before a retry. There is no retry at a provider that asks for a longer wait. */
const MAX_RETRY_WAIT_MS = 2_000;
/** Range of the random wait before a retry. */
const JITTER_MS = { least: 100, most: 400 };
/** A partial reply of at least this length is kept. No other model's reply replaces it. */
const LONG_TEXT_CHARS = 200;

/** Inputs of one chat. */
export interface AttemptOptions {
  /** Providers in order of preference. */
  providers: readonly Provider[];
  chat: ProviderChat;
  /** Deadlines of a provider's calls. `totalMs` counts from the beginning of the chat. */
  deadlines: (provider: Provider) => Deadlines;
  cooldowns: Cooldowns;
  /** Ends the chat and the provider's pending call at once. */
  signal: AbortSignal;
  /** Receives each failed call, including retried calls, for the log and for alarms. */
  onFailure?: (provider: Provider, failure: ProviderFailure) => void;
  /** Returns a random number from 0 to 1, for the wait before a retry. */
  random?: () => number;
  /** Waits. Rejects when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Event of a running chat: the next piece of text, or `restart`, which discards the text so far. */
export type AttemptEvent = { delta: string } | { restart: true };

/** One call to a provider. */
export interface Call {
  readonly provider: Provider;
  /** Tokens that the provider reports, or an estimate. Zero when the provider refused the request. */
  usage: TokenUsage;
  /** Reason of the failure. Undefined for the call that answered, and for an aborted call. */
  failure?: FailureCause;
}

/** Complete reply of a chat. */
export interface AttemptResult {
  text: string;
  finishReason: ProviderEnd["finishReason"];
  /** Tokens of the call that answered. */
  usage: TokenUsage;
  /** Model name that the provider reports, or else the configured name. */
  version: string;
  /** Provider that answered. */
  provider: Provider["name"];
  /** Configured model of the provider. */
  model: string;
  /** Number of calls, including failed calls. */
  attempts: number;
  /** Whether the reply replaced an incomplete reply of another model. */
  restarted: boolean;
  ttftMs: number;
  totalMs: number;
  /** All calls, for the computation of the costs. */
  calls: readonly Call[];
}

/** A chat without a complete reply. */
interface Incomplete {
  /** Text that the reader has received. */
  text: string;
  /** All calls, for the computation of the costs. */
  calls: readonly Call[];
}

/** Failure of a chat: no provider completed a reply. `cause` is the failure of the preferred provider, for the log. */
export class ChatFailure extends Error implements Incomplete {
  override readonly name = "ChatFailure";
  readonly text: string;
  readonly calls: readonly Call[];
  /** Shortest wait that a provider asked for. */
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: FailureCode,
    { text, calls }: Incomplete,
    options: ErrorOptions & { retryAfterMs?: number | undefined } = {},
  ) {
    super(`No complete reply after ${calls.length} calls: ${code}`, options);
    this.text = text;
    this.calls = calls;
    this.retryAfterMs = options.retryAfterMs;
  }

  get attempts(): number {
    return this.calls.length;
  }
}

/** Error of a chat that its signal aborted. `cause` is the signal's reason. */
export class ChatAborted extends Error implements Incomplete {
  override readonly name = "ChatAborted";
  readonly text: string;
  readonly calls: readonly Call[];

  constructor({ text, calls }: Incomplete, options: ErrorOptions) {
    super("The chat was aborted", options);
    this.text = text;
    this.calls = calls;
  }

  get attempts(): number {
    return this.calls.length;
  }
}

/**
 * Asks the providers for one reply. This is the relay's only retry loop.
 *
 * - Before the first text, a failed provider gets one retry if its failure allows a retry. Then the next provider is
 *   asked.
 * - A conversation that does not fit a provider's context loses its oldest turns.
 * - When a provider fails after a short text, the next provider answers from the beginning. This happens only once. The
 *   `restart` event comes with the new text. If no new text comes, the reader keeps the short text.
 * - A filtered reply counts as a reply. If it has no text, its text is Mama's refusal. Any other reply without text is
 *   `broken`.
 *
 * To end a chat early, abort the signal. `return()` alone waits for the pending event.
 *
 * @throws ChatFailure when no provider completes a reply, ChatAborted when the signal aborts
 */
export async function* runAttempts(options: AttemptOptions): AsyncGenerator<AttemptEvent, AttemptResult, void> {
  const { cooldowns, signal, sleep = sleepUntilAborted } = options;
  const run = new Run(options);
  const marks: Promise<void>[] = [];
  try {
    for (const provider of await cooldowns.order(options.providers, new Date())) {
      let step: Step = { kind: "ask", waitMs: 0 };
      while (step.kind === "ask") {
        if (step.waitMs > 0) await sleep(step.waitMs, signal);
        signal.throwIfAborted();
        step = yield* ask(run, provider, signal);
      }
      if (step.kind === "done") {
        marks.push(cooldowns.succeeded(provider));
        return step.result;
      }
      const { reason, retryAfterMs } = step.failure;
      // The provider is not at fault, and gets no cooldown, when the time limit of the whole chat has passed.
      if (!run.isOver(provider)) marks.push(cooldowns.failed(provider, reason, retryAfterMs, new Date()));
      if (step.kind === "fail") break;
    }
    throw run.failure();
  } catch (error) {
    throw signal.aborted ? new ChatAborted(run, { cause: signal.reason }) : error;
  } finally {
    await Promise.all(marks);
  }
}

/** Decision after a call: the reply is done, ask the same provider again, ask the next provider, or fail. */
type Step =
  | { kind: "done"; result: AttemptResult }
  | { kind: "ask"; waitMs: number }
  | { kind: "next" | "fail"; failure: ProviderFailure };

/** Calls a provider once. Throws only when the signal has aborted. */
async function* ask(run: Run, provider: Provider, signal: AbortSignal): AsyncGenerator<AttemptEvent, Step, void> {
  const attempt = run.begin(provider);
  try {
    const open = (upstream: AbortSignal) => provider.stream(attempt.chat, upstream);
    for await (const event of withDeadlines(open, run.deadlines(provider), signal)) {
      const delta = attempt.deltaOf(event);
      if (delta !== "") {
        if (run.replacesText(attempt)) yield { restart: true };
        run.show(attempt, delta);
        yield { delta };
      }
      if ("end" in event) return { kind: "done", result: run.finish(attempt, event.end) };
    }
    throw new ProviderFailure("broken", "The stream ended without the event `end`");
  } catch (error) {
    if (!signal.aborted) return run.react(attempt, asFailure(error));
    attempt.estimateTokens();
    throw error;
  }
}

const NO_TOKENS: TokenUsage = { prompt_tokens: 0, completion_tokens: 0 };

class Attempt implements Call {
  usage = NO_TOKENS;
  failure?: FailureCause;
  /** Text of this call that the reader received. */
  text = "";

  constructor(
    readonly provider: Provider,
    readonly chat: ProviderChat,
  ) {}

  /** Text that the reader gets for an event. For a filtered reply without text, this is Mama's refusal. */
  deltaOf(event: ProviderEvent): string {
    if ("text" in event) return event.text;
    return event.end.finishReason === "filter" && this.text === "" ? refusalSentence : "";
  }

  estimateTokens(): void {
    if (this.usage === NO_TOKENS) this.usage = estimateUsage(this.chat, this.text);
  }
}

/** State of one chat, and the decisions that follow from it. */
class Run implements Incomplete {
  readonly calls: Attempt[] = [];
  /** Text that the reader has received. */
  text = "";
  private readonly startedAt = performance.now();
  private readonly random: () => number;
  private chat: ProviderChat;
  private readonly shortenedFor = new Set<Provider>();
  private restarted = false;
  private ttftMs: number | undefined;
  private firstFailure: ProviderFailure | undefined;
  private retryAfterMs: number | undefined;

  constructor(private readonly options: AttemptOptions) {
    this.chat = options.chat;
    this.random = options.random ?? Math.random;
  }

  begin(provider: Provider): Attempt {
    const attempt = new Attempt(provider, this.chat);
    this.calls.push(attempt);
    return attempt;
  }

  /** Deadlines of the next call. No call may take longer than the whole chat. */
  deadlines(provider: Provider): Deadlines {
    const deadlines = this.options.deadlines(provider);
    return { ...deadlines, totalMs: deadlines.totalMs - this.elapsedMs() };
  }

  /** Whether the time limit of the whole chat has passed. */
  isOver(provider: Provider): boolean {
    return this.deadlines(provider).totalMs <= 0;
  }

  /** Whether the call's first text replaces the text of a failed call. */
  replacesText(attempt: Attempt): boolean {
    return attempt.text === "" && this.text !== "";
  }

  show(attempt: Attempt, delta: string): void {
    if (this.replacesText(attempt)) {
      this.restarted = true;
      this.text = "";
    }
    this.ttftMs ??= this.elapsedMs();
    this.text += delta;
    attempt.text += delta;
  }

  /** Completes the reply. Throws ProviderFailure `broken` for a reply without text. */
  finish(attempt: Attempt, end: ProviderEnd): AttemptResult {
    if (end.usage) attempt.usage = end.usage;
    else attempt.estimateTokens();
    if (attempt.text === "") throw new ProviderFailure("broken", "The reply has no text");
    const { name, model } = attempt.provider;
    const totalMs = this.elapsedMs();
    return {
      text: attempt.text,
      finishReason: end.finishReason,
      usage: attempt.usage,
      version: end.version ?? model,
      provider: name,
      model,
      attempts: this.calls.length,
      restarted: this.restarted,
      ttftMs: this.ttftMs ?? totalMs,
      totalMs,
      calls: this.calls,
    };
  }

  /** Records a failed call and decides about the next one. */
  react(attempt: Attempt, failure: ProviderFailure): Step {
    attempt.failure = failure.reason;
    if (attempt.text !== "" || failure.reason === "timeout") attempt.estimateTokens();
    if (failure.retryAfterMs !== undefined) {
      this.retryAfterMs = Math.min(failure.retryAfterMs, this.retryAfterMs ?? Number.POSITIVE_INFINITY);
    }
    this.options.onFailure?.(attempt.provider, failure);
    const step = this.nextStep(attempt, failure);
    if (step.kind !== "ask") this.firstFailure ??= failure;
    return step;
  }

  /** The chat's error, with the code of the preferred provider's failure. */
  failure(): ChatFailure {
    const { firstFailure, retryAfterMs } = this;
    const code = firstFailure ? failures[firstFailure.reason].code : "unavailable";
    return new ChatFailure(code, this, { cause: firstFailure, retryAfterMs });
  }

  private nextStep(attempt: Attempt, failure: ProviderFailure): Step {
    const fail: Step = { kind: "fail", failure };
    const leave: Step = failures[failure.reason].fallBack ? { kind: "next", failure } : fail;
    if (this.calls.length >= MAX_CALLS || this.isOver(attempt.provider)) return fail;
    if (attempt.text !== "") return this.restarted || attempt.text.length >= LONG_TEXT_CHARS ? fail : leave;
    const waitMs = this.retryWaitMs(attempt, failure);
    return waitMs === undefined ? leave : { kind: "ask", waitMs };
  }

  /**
   * Wait before a retry at the same provider; undefined when there is no retry. A candidate gets no retry, so that the
   * limit of calls allows a call of the released worker.
   */
  private retryWaitMs(attempt: Attempt, failure: ProviderFailure): number | undefined {
    const { retry } = failures[failure.reason];
    if (retry === "shorter") return this.shortenFor(attempt.provider) ? 0 : undefined;
    if (retry === "never" || attempt.provider.isCandidate || this.callsLike(attempt) >= MAX_SAME_CALLS)
      return undefined;
    const jitterMs = JITTER_MS.least + this.random() * (JITTER_MS.most - JITTER_MS.least);
    const waitMs = Math.max(jitterMs, failure.retryAfterMs ?? 0);
    return waitMs <= MAX_RETRY_WAIT_MS ? waitMs : undefined;
  }

  /** Number of calls to the same provider with the same conversation. */
  private callsLike({ provider, chat }: Attempt): number {
    return this.calls.filter((call) => call.provider === provider && call.chat === chat).length;
  }

  /**
   * Drops the older half of the turns, at most once per provider, because the next provider may have a larger context.
   * Returns false when the conversation cannot become shorter.
   */
  private shortenFor(provider: Provider): boolean {
    const turns = (this.chat.messages.length - 1) / 2;
    if (turns < 1 || this.shortenedFor.has(provider)) return false;
    this.shortenedFor.add(provider);
    this.chat = { ...this.chat, messages: this.chat.messages.slice(-(2 * Math.floor(turns / 2) + 1)) };
    return true;
  }

  private elapsedMs(): number {
    return performance.now() - this.startedAt;
  }
}

/**
 * Any error but ProviderFailure is a bug in a provider's adapter. Its text becomes only the cause, because it may
 * contain a prompt.
 */
function asFailure(error: unknown): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  const name = error instanceof Error ? error.name : typeof error;
  return new ProviderFailure("upstream_error", `Unexpected error of the provider: ${name}`, { cause: error });
}

async function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal });
}

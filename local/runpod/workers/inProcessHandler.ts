import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { JSONWebKeySet } from "jose";
import * as z from "zod";
import { root } from "../../../cli/root";
import { ApiError, type ErrorBody, type ErrorCode } from "../../../contract/errors";
import { type Limits, Model } from "../../../contract/plan";
import { type WorkerInput, type WorkerOutput, workerBounds } from "../../../contract/worker";
import { verifyTicket } from "../../../functions/core/ticket";
import { ownDialect, refuse } from "./inProcessDialect";
import { isOpenAi, openAiDialect } from "./inProcessOpenAi";

const ENGINE_TIMEOUT_MS = 120_000;
const COALESCE_WINDOW_MS = 40;
const boundary = /[、。！？\n]/;
const personaFile = join(root, "images/worker/src/snack_worker/persona.txt");

const Environment = z.object({
  MODEL: Model,
  TICKET_ISSUER: z.string().min(1),
  TICKET_JWKS: z.string(),
  ENGINE_BASE_URL: z.url(),
  MODEL_VERSION_FILE: z.string(),
});

/**
 * The worker's handler without Python: the contract of `images/worker`, and its checks of input and ticket in their order
 * with their codes. Simpler are the ticket's times, without leeway because one clock signs and checks here, and the
 * engine's failures, all `unavailable` or, after one deadline, `timeout`, and never tried again.
 *
 * @param env the worker's environment
 * @returns a generator of the items of a job's input; it throws ApiError with the body that fails the job
 * @throws Error naming the variable that is missing or wrong
 */
export function makeHandler(env: Record<string, string>) {
  const parsed = Environment.safeParse(env);
  if (!parsed.success) throw new Error(`${parsed.error.issues[0]?.path.join(".")} is not set or not valid`);
  const settings = parsed.data;
  const jwks = JSON.parse(settings.TICKET_JWKS) as JSONWebKeySet;
  const { version } = JSON.parse(readFileSync(settings.MODEL_VERSION_FILE, "utf8")) as { version: string };
  const model = { plan: settings.MODEL === "phi3" ? "free" : "paid", name: settings.MODEL, version } as const;
  const persona = { role: "system", content: readFileSync(personaFile, "utf8").trim() };

  /** Pieces of text, then the whole. */
  async function* reply(input: WorkerInput, stopped: AbortSignal): AsyncGenerator<string | WorkerOutput> {
    const startedAt = performance.now();
    const messages = messagesOf(input);
    const ticket = await verifyTicket(input.ticket, { jwks, issuer: settings.TICKET_ISSUER, model: settings.MODEL });
    checkLimits(input, messages, ticket.limits);
    const maxTokens = Math.min(input.params?.max_tokens ?? workerBounds.maxTokens, ticket.limits.max_tokens);

    const outcome: Outcome = { finish_reason: "stop", usage: { prompt_tokens: 0, completion_tokens: 0 } };
    const pieces = askEngine(
      settings.ENGINE_BASE_URL,
      { model: settings.MODEL, messages: [persona, ...messages], ...input.params, max_tokens: maxTokens },
      outcome,
      AbortSignal.any([stopped, AbortSignal.timeout(ENGINE_TIMEOUT_MS)]),
    );
    let text = "";
    let firstTextAt: number | undefined;
    for await (const delta of coalesce(pieces)) {
      firstTextAt ??= performance.now();
      text += delta;
      yield delta;
    }
    const endedAt = performance.now();
    const timings = { ttft_ms: ms((firstTextAt ?? endedAt) - startedAt), total_ms: ms(endedAt - startedAt) };
    yield { text, ...outcome, model, timings };
  }

  return async function* handle(value: unknown, stopped: AbortSignal): AsyncGenerator<unknown> {
    const dialect = isOpenAi(value) ? openAiDialect(value, model) : ownDialect(value);
    try {
      const asked = dialect.parse();
      if ("answer" in asked) return yield asked.answer;
      for await (const piece of reply(asked.input, stopped)) {
        const item = typeof piece === "string" ? dialect.delta(piece) : dialect.done(piece);
        if (item !== undefined) yield item;
      }
    } catch (error) {
      const failure = error instanceof ApiError ? error : new ApiError("internal", undefined, { cause: error });
      const { items, body } = dialect.failed(failure);
      yield* items;
      throw new JobFailure(failure.code, body, { cause: error });
    }
  };
}

/** The error of a job, worded in its dialect. */
class JobFailure extends ApiError {
  constructor(
    code: ErrorCode,
    private readonly worded: ErrorBody,
    options: ErrorOptions,
  ) {
    super(code, worded.error.message, options);
  }

  override get body(): ErrorBody {
    return this.worded;
  }
}

type Outcome = Pick<WorkerOutput, "finish_reason" | "usage">;
type Messages = NonNullable<WorkerInput["messages"]>;

function messagesOf({ text, messages }: WorkerInput): Messages {
  if ((text === undefined) === (messages === undefined))
    refuse("input", "exactly one of text and messages is allowed.");
  const turns = messages ?? [{ role: "user" as const, content: text ?? "" }];
  if (turns.at(-1)?.role !== "user") refuse("input.messages", "the last message must be from the user.");
  return turns;
}

function checkLimits({ text }: WorkerInput, messages: Messages, limits: Limits): void {
  if (messages.length > limits.max_messages)
    throw new ApiError("too_long", `input.messages: at most ${limits.max_messages} messages are allowed.`);
  const index = messages.findIndex(({ content }) => Array.from(content).length > limits.max_input_chars);
  const field = text === undefined ? `input.messages[${index}].content` : "input.text";
  if (index >= 0) throw new ApiError("too_long", `${field}: at most ${limits.max_input_chars} characters are allowed.`);
}

const Chunk = z.object({
  choices: z.array(
    z.object({ delta: z.object({ content: z.string().nullish() }), finish_reason: z.string().nullish() }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }).nullish(),
});

async function* askEngine(
  base: string,
  request: object,
  outcome: Outcome,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  try {
    const response = await fetch(`${base}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal,
    });
    if (!response.ok || !response.body) throw new Error(`the engine answered ${response.status}`);
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const { data } of events) {
      if (data === "[DONE]") return;
      const { choices, usage } = Chunk.parse(JSON.parse(data));
      if (usage) outcome.usage = { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens };
      if (choices[0]?.finish_reason) outcome.finish_reason = choices[0].finish_reason === "length" ? "length" : "stop";
      if (choices[0]?.delta.content) yield choices[0].delta.content;
    }
  } catch (cause) {
    throw new ApiError(signal.aborted ? "timeout" : "unavailable", undefined, { cause });
  }
}

/** Fewer, larger pieces: the first at once, then one where a reader pauses or when the window has passed. */
async function* coalesce(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let held = "";
  let due = 0;
  for await (const piece of pieces) {
    held += piece;
    if (performance.now() < due && !boundary.test(held)) continue;
    yield held;
    held = "";
    due = performance.now() + COALESCE_WINDOW_MS;
  }
  if (held) yield held;
}

function ms(duration: number): number {
  return Math.round(duration * 10) / 10;
}

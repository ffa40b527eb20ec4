import * as z from "zod";
import { type Fixture, readCodes, readShapes, type Values } from "./fixtures";
import type { ChatCompletion, ChatCompletionChunk } from "./openai";
import { modelPlans } from "./plan";
import { type WorkerFailure, type WorkerOutput, workerBounds } from "./worker";

/** What came of a fixture's request. */
export interface Answer {
  /** What the worker yielded; of a streamed OpenAI answer the text of the stream. */
  items: unknown[];
  /** What the job failed with, or the body of an HTTP error. */
  error?: unknown;
  /** The items that are kept with the finished job. */
  kept?: unknown;
}

/**
 * What keeps a worker from being compatible with the readers of the fixture's version; nothing when it is. Fields that
 * they do not know do not matter, and neither do the words of a reply. `images/worker/tests/contract_rules.py` has the same
 * rules for the Python worker's tests.
 *
 * @param fixture with its placeholders filled
 */
export function incompatibilities(fixture: Fixture, answer: Answer, values: Values): string[] {
  const problems: string[] = [];
  const must = (holds: boolean, problem: string) => void (holds || problems.push(problem));
  const shaped = (shape: string, value: unknown) => problems.push(...misshapen(fixture.version, shape, value));
  const rules: Rules = { must, shaped, fixture, values };
  if ("error" in fixture.expect) checkError(rules, fixture.expect, answer);
  else if (answer.error !== undefined) must(false, `an error: ${text(answer.error)}`);
  else if ("input" in fixture) checkOwn(rules, answer);
  else if (streamed(fixture)) checkStream(rules, answer.items.join(""));
  else checkOpenAi(rules, answer);
  return [...new Set(problems)];
}

interface Rules {
  must(holds: boolean, problem: string): void;
  shaped(shape: string, value: unknown): void;
  fixture: Fixture;
  values: Values;
}

function checkOwn({ must, shaped, fixture, values }: Rules, { items, kept }: Answer): void {
  for (const item of items.slice(0, -1)) shaped("stream-item", item);
  shaped("worker-output", items.at(-1));
  const deltas = items.slice(0, -1) as { delta?: unknown; done?: unknown }[];
  const done = (items.at(-1) ?? {}) as Partial<WorkerOutput> & { done?: unknown };
  must(done.done === true, "the last item has no done: true");
  must(!deltas.some(({ done }) => done !== undefined), "an item before the last is done");
  must(!deltas.some(({ delta }) => delta === ""), "an empty delta");
  must(deltas.length > 0 === (streamed(fixture) ?? false), "deltas exactly where they are asked for");
  if (deltas.length > 0) must(deltas.map(({ delta }) => delta).join("") === done.text, "text is not all the deltas");
  must(Boolean(done.text), "an empty reply");
  if (kept !== undefined) must(text(kept) === text(items), "the finished job keeps other items than were streamed");

  checkUsage(must, fixture, values, done.usage);
  checkFinish(must, fixture, done.finish_reason);
  must(done.model?.name === values.model, `model.name is not ${values.model}`);
  must(done.model?.plan === modelPlans[values.model], "model.plan is not the model's");
  must(Boolean(done.model?.version), "model.version is empty");
  const { ttft_ms = 0, total_ms = 0 } = done.timings ?? {};
  must(ttft_ms > 0 && ttft_ms <= total_ms, "ttft_ms is not between 0 and total_ms");
  must(total_ms >= 1, "total_ms is not in milliseconds");
}

function checkOpenAi(rules: Rules, { items }: Answer): void {
  const { must, shaped, fixture, values } = rules;
  must(items.length === 1, "not one object");
  const [answer] = items;
  const { reply } = fixture.expect as { reply: string };
  if (reply === "models") {
    shaped("model-list", answer);
    must((answer as { data?: { id?: unknown }[] })?.data?.[0]?.id === values.model, `the model is not ${values.model}`);
  } else if (reply === "model") {
    shaped("model", answer);
    must((answer as { id?: unknown })?.id === values.model, `the model is not ${values.model}`);
  } else {
    shaped("chat-completion", answer);
    const { choices, usage, ...about } = (answer ?? {}) as Partial<ChatCompletion>;
    checkAbout(rules, about);
    must(Boolean(choices?.[0]?.message?.content), "an empty reply");
    checkFinish(must, fixture, choices?.[0]?.finish_reason);
    checkOpenAiUsage(rules, usage);
  }
}

function checkStream(rules: Rules, stream: string): void {
  const all = events(stream);
  const failure = all.find((data) => data.startsWith('{"error"'));
  if (failure) rules.must(false, `an error: ${failure}`);
  else checkEvents(rules, stream, all);
}

function checkEvents(rules: Rules, stream: string, all: string[]): void {
  const { must, shaped, fixture } = rules;
  must(stream.endsWith("\n\n") && all.at(-1) === "[DONE]", "the last event is not [DONE]");
  const chunks = all.slice(0, -1).map((data) => parsed(data) as Partial<ChatCompletionChunk> | undefined);
  for (const chunk of chunks) shaped("chat-completion-chunk", chunk);
  for (const chunk of chunks) checkAbout(rules, chunk ?? {});
  must(new Set(chunks.map((chunk) => chunk?.id)).size === 1, "events with different ids");

  const choices = chunks.flatMap((chunk) => chunk?.choices ?? []);
  const roles = choices.map(({ delta }) => delta?.role);
  must(roles[0] === "assistant" && !roles.slice(1).some(Boolean), "the role is not in the first event alone");
  must(
    choices.some(({ delta }) => delta?.content),
    "an empty reply",
  );
  const reasons = choices.map(({ finish_reason }) => finish_reason);
  must(!reasons.slice(0, -1).some(Boolean), "a finish_reason before the end");
  checkFinish(must, fixture, reasons.at(-1));

  const { body } = fixture as { body?: { stream_options?: { include_usage?: boolean } } };
  if (body?.stream_options?.include_usage) {
    must(chunks.at(-1)?.choices?.length === 0, "the last event has a choice beside the usage");
    must(!chunks.slice(0, -1).some((chunk) => chunk?.usage !== null), "usage that is not null before the last event");
    checkOpenAiUsage(rules, chunks.at(-1)?.usage);
  } else must(!chunks.some((chunk) => chunk?.usage), "usage that was not asked for");
}

function checkAbout({ must, values }: Rules, about: Partial<ChatCompletionChunk | ChatCompletion>): void {
  must(about.model === values.model, `model is not ${values.model}`);
  must(Boolean(about.id), "id is empty");
  must(Boolean(about.system_fingerprint), "system_fingerprint is empty");
}

function checkOpenAiUsage({ must, fixture, values }: Rules, usage: ChatCompletion["usage"] | null | undefined): void {
  const { prompt_tokens_details: details, ...counts } = usage ?? ({} as Partial<ChatCompletion["usage"]>);
  checkUsage(must, fixture, values, { ...counts, ...(details && { cached_tokens: details.cached_tokens }) });
  const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = counts;
  must(total_tokens === prompt_tokens + completion_tokens, "total_tokens is not the sum");
}

function checkUsage(must: Rules["must"], fixture: Fixture, values: Values, usage?: Partial<WorkerOutput["usage"]>) {
  const { prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0 } = usage ?? {};
  const allowed = allowedTokens(fixture, values);
  must(prompt_tokens > 0 && cached_tokens <= prompt_tokens, "prompt_tokens do not hold the persona and what is cached");
  must(completion_tokens > 0 && completion_tokens <= allowed, `completion_tokens are not between 1 and ${allowed}`);
}

/** Tokens that the reply may have: what was asked for, at most what the ticket and the contract allow. */
function allowedTokens(fixture: Fixture, { limits }: Values): number {
  type Asked = { max_tokens?: number; max_completion_tokens?: number };
  const asked: Asked = ("input" in fixture ? fixture.input.params : fixture.body) ?? {};
  const wanted = asked.max_completion_tokens ?? asked.max_tokens ?? workerBounds.maxTokens;
  return Math.min(wanted, limits.max_tokens, workerBounds.maxTokens);
}

function checkFinish(must: Rules["must"], { expect }: Fixture, reason: unknown): void {
  const due = "error" in expect ? undefined : expect.finish_reason;
  must(Boolean(reason), "no finish_reason");
  if (due) must(reason === due, `finish_reason is not ${due}`);
}

function checkError(
  rules: Rules,
  { error: code, names }: { error: string; names?: string | undefined },
  answer: Answer,
): void {
  const { must, shaped, fixture } = rules;
  const isOpenAi = !("input" in fixture);
  const found = [answer.error, ...(isOpenAi ? events(answer.items.join("")) : [])].map(errorIn).find(Boolean);
  must(found !== undefined, "no error in the contract's form");
  if (!found) return;
  shaped("error", { error: found });
  must(found.code === code, `the code is ${found.code}, not ${code}`);
  must(found.retryable === readCodes(fixture.version)[code]?.retryable, "retryable is not the code's");
  must(Boolean(found.message), "an empty message");
  if (isOpenAi) {
    must(found.param === (names ?? null), `param is not ${names ?? null}`);
    must(Boolean(found.type), "no type");
  } else if (names) must(found.message?.startsWith(`${names}: `) ?? false, `the message does not name ${names}`);
}

/**
 * The contract's error in what a job or an HTTP answer carries: JSON text, or wrapped once more in an `error` of the
 * platform's. Nothing documents what RunPod wraps it in.
 */
function errorIn(value: unknown): Partial<WorkerFailure["error"]> | undefined {
  const body = typeof value === "string" ? parsed(value) : value;
  if (typeof body !== "object" || body === null) return undefined;
  const { error, message, code } = body as Record<string, unknown>;
  if (typeof code === "string" && typeof message === "string" && !message.startsWith("{")) return body;
  return errorIn(error) ?? errorIn(message);
}

/** Whether the fixture's request asks for a stream. */
export function streamed(fixture: Fixture): boolean {
  return "input" in fixture ? fixture.input.stream !== false : fixture.body?.stream === true;
}

/** The data of each event of a stream. */
function events(stream: string): string[] {
  return [...stream.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => data);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const readers = new Map<string, z.ZodType>();

/** How a value differs from a shape of a version. */
function misshapen(version: string, shape: string, value: unknown): string[] {
  const key = `${version}/${shape}`;
  const schema = readShapes(version)[shape];
  if (!schema) throw new Error(`There is no shape ${key}`);
  const reader = readers.get(key) ?? z.fromJSONSchema(schema);
  readers.set(key, reader);
  const { error } = reader.safeParse(value);
  return error ? [`not a ${shape}: ${z.prettifyError(error).replaceAll("\n", " ")}`] : [];
}

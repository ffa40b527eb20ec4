import * as z from "zod";
import { type Fixture, type FixtureValues, readCodes, readShapes } from "./fixtures";
import type { ChatCompletion, ChatCompletionChunk } from "./openai";
import { modelPlans } from "./plan";
import { type WorkerFailure, type WorkerOutput, workerBounds } from "./worker";

/** A worker's response to a fixture's request. */
export interface Answer {
  /** Items that the worker yielded. A streamed OpenAI response is one item: the text of its event stream. */
  items: unknown[];
  /** Error of the failed job, or body of the HTTP error. */
  error?: unknown;
  /** Items that RunPod stores with the finished job. */
  storedItems?: unknown;
}

/**
 * Returns the reasons why clients of the fixture's version could not use the answer. Returns an empty list when the
 * clients can use it. Unknown fields and the wording of a reply are ignored. This file contains all compatibility
 * rules. The tests apply these rules to the Python worker.
 *
 * @param fixture fixture whose placeholders have been replaced
 */
export function incompatibilities(fixture: Fixture, answer: Answer, values: FixtureValues): string[] {
  const problems: string[] = [];
  const rules: Rules = {
    fixture,
    values,
    check: (ok, problem) => void (ok || problems.push(problem)),
    checkShape: (shape, value) => void problems.push(...schemaProblems(fixture.version, shape, value)),
  };
  if ("error" in fixture.expect) checkError(rules, fixture.expect, answer);
  else if (answer.error !== undefined) rules.check(false, `unexpected error: ${toText(answer.error)}`);
  else if ("input" in fixture) checkNative(rules, answer);
  else if (requestsStream(fixture)) checkStream(rules, answer.items.join(""));
  else checkOpenAi(rules, answer);
  return [...new Set(problems)];
}

/** State of one comparison. `check` and `checkShape` record a problem when the answer breaks a rule. */
interface Rules {
  fixture: Fixture;
  values: FixtureValues;
  check(ok: boolean, problem: string): void;
  checkShape(shape: string, value: unknown): void;
}

function checkNative({ check, checkShape, fixture, values }: Rules, { items, storedItems }: Answer): void {
  for (const item of items.slice(0, -1)) checkShape("stream-item", item);
  checkShape("worker-output", items.at(-1));
  const deltas = items.slice(0, -1) as { delta?: unknown; done?: unknown }[];
  const last = (items.at(-1) ?? {}) as Partial<WorkerOutput> & { done?: unknown };
  check(last.done === true, "the last item does not have the field done with the value true");
  check(!deltas.some(({ done }) => done !== undefined), "an item before the last item has the field done");
  check(!deltas.some(({ delta }) => delta === ""), "a delta is empty");
  check(
    deltas.length > 0 === requestsStream(fixture),
    "the reply has deltas although stream is false, or no deltas although stream is true",
  );
  if (deltas.length > 0)
    check(deltas.map(({ delta }) => delta).join("") === last.text, "text differs from the joined deltas");
  check(Boolean(last.text), "the reply is empty");
  if (storedItems !== undefined)
    check(toText(storedItems) === toText(items), "the stored items differ from the streamed items");

  checkUsage(check, fixture, values, last.usage);
  checkFinishReason(check, fixture, last.finish_reason);
  check(last.model?.name === values.model, `model.name is not ${values.model}`);
  check(last.model?.plan === modelPlans[values.model], `model.plan is not ${modelPlans[values.model]}`);
  check(Boolean(last.model?.version), "model.version is empty");
  const { ttft_ms = 0, total_ms = 0 } = last.timings ?? {};
  check(ttft_ms > 0 && ttft_ms <= total_ms, "ttft_ms is not between 0 and total_ms");
  check(total_ms >= 1, "total_ms is below 1, so it is not in milliseconds");
}

function checkOpenAi(rules: Rules, { items }: Answer): void {
  const { check, checkShape, fixture, values } = rules;
  check(items.length === 1, "the answer is not exactly one object");
  const [answer] = items;
  const { reply } = fixture.expect as { reply: string };
  if (reply === "models") {
    checkShape("model-list", answer);
    const listed = (answer as { data?: { id?: unknown }[] })?.data?.[0]?.id;
    check(listed === values.model, `the listed model is not ${values.model}`);
  } else if (reply === "model") {
    checkShape("model", answer);
    check((answer as { id?: unknown })?.id === values.model, `the model's id is not ${values.model}`);
  } else {
    checkShape("chat-completion", answer);
    const { choices, usage, ...metadata } = (answer ?? {}) as Partial<ChatCompletion>;
    checkMetadata(rules, metadata);
    check(Boolean(choices?.[0]?.message?.content), "the reply is empty");
    checkFinishReason(check, fixture, choices?.[0]?.finish_reason);
    checkOpenAiUsage(rules, usage);
  }
}

function checkStream(rules: Rules, stream: string): void {
  const events = eventData(stream);
  const failure = events.find((data) => data.startsWith('{"error"'));
  if (failure) rules.check(false, `unexpected error: ${failure}`);
  else checkEvents(rules, stream, events);
}

function checkEvents(rules: Rules, stream: string, events: string[]): void {
  const { check, checkShape, fixture } = rules;
  check(stream.endsWith("\n\n") && events.at(-1) === "[DONE]", "the last event is not [DONE]");
  const chunks = events.slice(0, -1).map((data) => parseJson(data) as Partial<ChatCompletionChunk> | undefined);
  for (const chunk of chunks) checkShape("chat-completion-chunk", chunk);
  for (const chunk of chunks) checkMetadata(rules, chunk ?? {});
  check(new Set(chunks.map((chunk) => chunk?.id)).size === 1, "the events have different ids");

  const choices = chunks.flatMap((chunk) => chunk?.choices ?? []);
  const roles = choices.map(({ delta }) => delta?.role);
  check(
    roles[0] === "assistant" && !roles.slice(1).some(Boolean),
    "the first event has no role, or a later event has a role",
  );
  check(
    choices.some(({ delta }) => delta?.content),
    "the reply is empty",
  );
  const reasons = choices.map(({ finish_reason }) => finish_reason);
  check(!reasons.slice(0, -1).some(Boolean), "a finish_reason comes before the last choice");
  checkFinishReason(check, fixture, reasons.at(-1));

  const { body } = fixture as { body?: { stream_options?: { include_usage?: boolean } } };
  if (body?.stream_options?.include_usage) {
    const last = chunks.at(-1);
    check(last?.choices?.length === 0, "the usage event has a choice");
    check(!chunks.slice(0, -1).some((chunk) => chunk?.usage !== null), "an event before the usage event has usage");
    checkOpenAiUsage(rules, last?.usage);
  } else check(!chunks.some((chunk) => chunk?.usage), "an event has usage, which was not requested");
}

function checkMetadata({ check, values }: Rules, metadata: Partial<ChatCompletionChunk | ChatCompletion>): void {
  check(metadata.model === values.model, `model is not ${values.model}`);
  check(Boolean(metadata.id), "id is empty");
  check(Boolean(metadata.system_fingerprint), "system_fingerprint is empty");
}

function checkOpenAiUsage({ check, fixture, values }: Rules, usage: ChatCompletion["usage"] | null | undefined): void {
  const { prompt_tokens_details: details, ...counts } = usage ?? ({} as Partial<ChatCompletion["usage"]>);
  checkUsage(check, fixture, values, { ...counts, ...(details && { cached_tokens: details.cached_tokens }) });
  const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = counts;
  check(total_tokens === prompt_tokens + completion_tokens, "total_tokens is not prompt_tokens + completion_tokens");
}

function checkUsage(
  check: Rules["check"],
  fixture: Fixture,
  values: FixtureValues,
  usage?: Partial<WorkerOutput["usage"]>,
): void {
  const { prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0 } = usage ?? {};
  const allowed = allowedTokens(fixture, values);
  check(prompt_tokens > 0, "prompt_tokens is not positive");
  check(cached_tokens <= prompt_tokens, "cached_tokens is greater than prompt_tokens");
  check(completion_tokens > 0 && completion_tokens <= allowed, `completion_tokens is not between 1 and ${allowed}`);
}

/** Maximum tokens of the reply: the smallest of the requested number, the ticket's limit and the contract's bound. */
function allowedTokens(fixture: Fixture, { limits }: FixtureValues): number {
  type Parameters = { max_tokens?: number; max_completion_tokens?: number };
  const parameters: Parameters = ("input" in fixture ? fixture.input.params : fixture.body) ?? {};
  const requested = parameters.max_completion_tokens ?? parameters.max_tokens ?? workerBounds.maxTokens;
  return Math.min(requested, limits.max_tokens, workerBounds.maxTokens);
}

function checkFinishReason(check: Rules["check"], { expect }: Fixture, reason: unknown): void {
  const expected = "error" in expect ? undefined : expect.finish_reason;
  check(Boolean(reason), "finish_reason is missing");
  if (expected) check(reason === expected, `finish_reason is not ${expected}`);
}

function checkError(
  rules: Rules,
  { error: code, names }: { error: string; names?: string | undefined },
  answer: Answer,
): void {
  const { check, checkShape, fixture } = rules;
  const isOpenAi = !("input" in fixture);
  const candidates = [answer.error, ...(isOpenAi ? eventData(answer.items.join("")) : [])];
  const error = candidates.map(findError).find(Boolean);
  check(error !== undefined, "the answer contains no error in the contract's format");
  if (!error) return;
  checkShape("error", { error });
  check(error.code === code, `the code is ${error.code} instead of ${code}`);
  check(
    error.retryable === readCodes(fixture.version)[code]?.retryable,
    `retryable differs from the registry's value for ${code}`,
  );
  check(Boolean(error.message), "the message is empty");
  if (isOpenAi) {
    check(error.param === (names ?? null), `param is not ${names ?? null}`);
    check(Boolean(error.type), "type is missing");
  } else if (names) check(error.message?.startsWith(`${names}: `) ?? false, `the message does not start with ${names}`);
}

/**
 * Finds the contract's error in the error of a job or in an HTTP body. The value may be JSON text. RunPod sometimes
 * wraps the error in another `error` object. RunPod's documentation does not mention this object.
 */
function findError(value: unknown): Partial<WorkerFailure["error"]> | undefined {
  const body = typeof value === "string" ? parseJson(value) : value;
  if (typeof body !== "object" || body === null) return undefined;
  const { error, message, code } = body as Record<string, unknown>;
  if (typeof code === "string" && typeof message === "string" && !message.startsWith("{")) return body;
  return findError(error) ?? findError(message);
}

/** Whether the fixture requests a streamed reply. */
export function requestsStream(fixture: Fixture): boolean {
  return "input" in fixture ? fixture.input.stream !== false : fixture.body?.stream === true;
}

/** Returns the text after `data: ` of every event in an event stream. */
function eventData(stream: string): string[] {
  return [...stream.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => data);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const toText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const schemas = new Map<string, z.ZodType>();

/**
 * Compares a value with the JSON Schema `shape` of a shipped version. Returns a list with one message, or an empty
 * list.
 */
function schemaProblems(version: string, shape: string, value: unknown): string[] {
  const key = `${version}/${shape}`;
  const jsonSchema = readShapes(version)[shape];
  if (!jsonSchema) throw new Error(`${key}.schema.json is missing in contract/fixtures`);
  const schema = schemas.get(key) ?? z.fromJSONSchema(jsonSchema);
  schemas.set(key, schema);
  const { error } = schema.safeParse(value);
  return error ? [`not a ${shape}: ${z.prettifyError(error).replaceAll("\n", " ")}`] : [];
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, incompatibilities } from "../../contract/compatibility";
import { errorCodes } from "../../contract/errors";
import {
  type Fixture,
  filled,
  readCodes,
  readFixtures,
  readShapes,
  type Values,
  versions,
} from "../../contract/fixtures";
import { generatedFiles, workerContractFolder } from "../../contract/generatedFiles";
import { type Model, models } from "../../contract/plan";
import { ask } from "../../verify/conformance/deployed";
import { runSuite } from "../../verify/conformance/suite";
import { needsPython, workerPython } from "../workerPython";
import { Endpoints, limits } from "./endpoints";

const LIMIT_MS = 60_000;

async function valuesFor(endpoints: Endpoints, model: Model): Promise<Values> {
  const other = model === "phi3" ? "mistral" : "phi3";
  return {
    model,
    limits,
    ticket: await endpoints.ticket(model),
    expiredTicket: await endpoints.ticket(model, new Date(0)),
    otherModelsTicket: await endpoints.ticket(other),
  };
}

const at = (endpoints: Endpoints, model: Model) => ({
  url: endpoints.url(model),
  authorization: endpoints.authorization,
});

describe("every shipped shape and the Python worker", needsPython, () => {
  let endpoints: Endpoints;
  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
  });
  afterAll(() => endpoints.close());

  it.each(models)("agree for %s", async (model) => {
    const results = await runSuite(at(endpoints, model), () => valuesFor(endpoints, model), {
      atOnce: 4,
      limitMs: LIMIT_MS,
    });
    expect(results.filter(({ result }) => result !== "passed")).toEqual([]);
    expect(results).toHaveLength(readFixtures().length);
  });
});

describe("the registry of errors", () => {
  it.each(versions())("means what it meant in %s", (version) => {
    for (const [code, meant] of Object.entries(readCodes(version)))
      expect({ [code]: errorCodes[code as keyof typeof errorCodes] }).toMatchObject({ [code]: meant });
  });

  it("is whole in the newest version", () => {
    expect(Object.keys(readCodes(versions().at(-1) ?? "")).sort()).toEqual(Object.keys(errorCodes).sort());
  });
});

describe("the newest version", () => {
  // A field was added: give the shapes and a fixture for it a folder of the next version.
  it("has the shapes that the contract has today", () => {
    for (const [name, shape] of Object.entries(readShapes(versions().at(-1) ?? "")))
      expect(shape).toEqual(JSON.parse(generatedFiles()[`${workerContractFolder}/${name}.schema.json`] ?? ""));
  });
});

/** A worker that changes its mind: what it would do to every item, and to an error. */
// biome-ignore lint/suspicious/noExplicitAny: it breaks whatever is there.
type Change = (item: any, isLast: boolean) => any;

const changes: Record<string, Change> = {
  "a removed field: text": ({ text, ...rest }) => rest,
  "a removed field: usage": ({ usage, ...rest }) => rest,
  "a removed field: usage.completion_tokens": (item) =>
    item.usage ? { ...item, usage: { prompt_tokens: 1, total_tokens: 1 } } : item,
  "a removed field: model.version": (item) =>
    item.model?.version ? { ...item, model: { ...item.model, version: undefined } } : item,
  "a removed field: system_fingerprint": ({ system_fingerprint, ...rest }) => rest,
  "a removed field: finish_reason": ({ finish_reason, ...rest }) => rest,
  "a removed field: choices": ({ choices, ...rest }) => rest,
  "a removed field: timings": ({ timings, ...rest }) => rest,
  "a removed field: a model's version": ({ version, ...rest }) => rest,
  "a renamed field: delta": ({ delta, ...rest }) => (delta === undefined ? rest : { ...rest, piece: delta }),
  "a renamed field: done": ({ done, ...rest }) => (done === undefined ? rest : { ...rest, finished: true }),
  "a renamed field: retryable": (item) =>
    item.error ? { error: { ...item.error, retryable: undefined, retry: item.error.retryable } } : item,
  "a retyped field: usage": (item) =>
    item.usage ? { ...item, usage: { ...item.usage, prompt_tokens: String(item.usage.prompt_tokens) } } : item,
  "a retyped field: model": (item) => (item.model?.name ? { ...item, model: item.model.name } : item),
  "a retyped field: timings": (item) => (item.timings ? { ...item, timings: { ttft_ms: "1", total_ms: "2" } } : item),
  "an empty version": (item) => (item.model?.name ? { ...item, model: { ...item.model, version: "" } } : item),
  "another model's name": (item) => (item.model?.name ? { ...item, model: { ...item.model, name: "mistral" } } : item),
  "another meaning: finish_reason": (item) => (item.finish_reason ? { ...item, finish_reason: "end" } : item),
  "another meaning: a cut reply has stopped": (item) =>
    item.finish_reason ? { ...item, finish_reason: "stop" } : item,
  "another meaning: an OpenAI reply's finish_reason": (item) =>
    item.choices?.[0]?.finish_reason ? { ...item, choices: [{ ...item.choices[0], finish_reason: "stop" }] } : item,
  "another meaning: usage beyond the limit": (item) =>
    item.usage ? { ...item, usage: { ...item.usage, completion_tokens: 9_999 } } : item,
  "another meaning: a total that is no sum": (item) =>
    item.usage?.total_tokens ? { ...item, usage: { ...item.usage, total_tokens: 1 } } : item,
  "another meaning: seconds": (item) => (item.timings ? { ...item, timings: { ttft_ms: 0.01, total_ms: 0.05 } } : item),
  "another meaning: text that is not all the deltas": (item) =>
    item.text ? { ...item, text: `${item.text}。` } : item,
  "another meaning: done in the middle": (item, isLast) => (item.delta && !isLast ? { ...item, done: true } : item),
  "another meaning: done false": (item) => (item.done ? { ...item, done: false } : item),
  "another meaning: retryable": (item) =>
    item.error ? { error: { ...item.error, retryable: !item.error.retryable } } : item,
  "another meaning: a code": (item) => (item.error ? { error: { ...item.error, code: "internal" } } : item),
  "an error that names no field": (item) => (item.error ? { error: { ...item.error, message: "No." } } : item),
  "an OpenAI error without its param": (item) => (item.error?.param ? { error: { ...item.error, param: null } } : item),
  "an OpenAI error without its type": (item) =>
    item.error?.type ? { error: { ...item.error, type: undefined } } : item,
  "two roles in a stream": (item) =>
    item.choices?.[0]?.delta
      ? { ...item, choices: [{ ...item.choices[0], delta: { ...item.choices[0].delta, role: "assistant" } }] }
      : item,
};

/** What a changed worker would have answered. */
function changed({ items, error, ...rest }: Answer, change: Change): Answer {
  const edit = (item: unknown, isLast: boolean): unknown => {
    if (typeof item !== "string") return change(item, isLast);
    return item.replaceAll(
      /^data: (\{.*)$/gm,
      (_, data) => `data: ${JSON.stringify(change(JSON.parse(data), isLast))}`,
    );
  };
  const failed = typeof error === "string" && error.startsWith("{");
  return {
    ...rest,
    items: items.map((item, index) => edit(item, index === items.length - 1)),
    ...(error !== undefined && { error: failed ? JSON.stringify(change(JSON.parse(error), true)) : error }),
  };
}

describe("the compatibility test", needsPython, () => {
  let endpoints: Endpoints;
  let values: Values;
  const answers: { fixture: Fixture; answer: Answer }[] = [];
  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
    values = await valuesFor(endpoints, "phi3");
    for (const one of readFixtures()) {
      const ready = filled(one, values);
      if ("missing" in ready) throw new Error(ready.missing);
      const { kept, ...answer } = await ask(at(endpoints, "phi3"), ready.fixture, LIMIT_MS);
      answers.push({ fixture: ready.fixture, answer });
    }
  });
  afterAll(() => endpoints?.close());

  const failures = (change: Change) =>
    answers.filter(({ fixture, answer }) => incompatibilities(fixture, changed(answer, change), values).length > 0);

  it("lets a worker add fields", () => {
    expect(
      failures((item) => ({ ...item, mood: "merry", ...(item.usage && { usage: { ...item.usage, extra: 1 } }) })),
    ).toEqual([]);
  });

  it.each(Object.entries(changes))("fails for %s", (_, change) => {
    expect(failures(change).length).toBeGreaterThan(0);
  });

  it("fails for a stream without [DONE], a job that keeps other items, and a fixture that is not refused", () => {
    const find = (name: string) => answers.find(({ fixture }) => fixture.name === name) ?? expect.unreachable(name);
    const { fixture, answer } = find("openai/chat-streamed");
    const undone = { items: [String(answer.items[0]).replace("data: [DONE]\n\n", "")] };
    expect(incompatibilities(fixture, undone, values)).toContain("the last event is not [DONE]");

    const text = find("native/text");
    expect(incompatibilities(text.fixture, { ...text.answer, kept: [] }, values)).toHaveLength(1);

    const { fixture: refused } = find("native/ticket-missing");
    expect(incompatibilities(refused, text.answer, values)).toEqual(["no error in the contract's form"]);
  });
});

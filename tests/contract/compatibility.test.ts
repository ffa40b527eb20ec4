import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, incompatibilities } from "../../contract/compatibility";
import { errorCodes } from "../../contract/errors";
import {
  type Fixture,
  type FixtureValues,
  fillFixture,
  readCodes,
  readFixtures,
  readShapes,
  versions,
} from "../../contract/fixtures";
import { generatedFiles, workerContractFolder } from "../../contract/generatedFiles";
import { type Model, models } from "../../contract/plan";
import { sendFixture } from "../../verify/conformance/endpoint";
import { type FixtureResult, runSuite } from "../../verify/conformance/suite";
import { needsPython, workerPython } from "../workerPython";
import { Endpoints, limits } from "./endpoints";

const LIMIT_MS = 60_000;

const label = ({ version, name }: Pick<Fixture, "version" | "name">) => `${version}/${name}`;

describe("The Python worker", needsPython, () => {
  let endpoints: Endpoints;
  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
  });
  afterAll(() => endpoints.close());

  const endpointOf = (model: Model) => ({ url: endpoints.url(model), authorization: endpoints.authorization });

  async function valuesFor(model: Model): Promise<FixtureValues> {
    const other = models.find((name) => name !== model);
    return {
      model,
      limits,
      ticket: await endpoints.ticket(model),
      expiredTicket: await endpoints.ticket(model, new Date(0)),
      otherModelsTicket: other && (await endpoints.ticket(other)),
      ownEndpointsTicket: await endpoints.ticket(model, new Date(), endpoints.id(model)),
      otherEndpointsTicket: await endpoints.ticket(model, new Date(), "another"),
    };
  }

  describe.each(models)("with the model %s", (model) => {
    let results: FixtureResult[];
    beforeAll(async () => {
      results = await runSuite(endpointOf(model), () => valuesFor(model), { atOnce: 4, limitMs: LIMIT_MS });
    });

    it.each(readFixtures().map(label))("gives a compatible answer to the request %s", (fixture) => {
      const result = results.find((one) => label({ version: one.version, name: one.fixture }) === fixture);
      expect(result).toMatchObject({ result: "passed", problems: [] });
    });
  });

  // These tests change real answers, as an incompatible worker would. `incompatibilities` must report each change.
  describe("with changed answers", () => {
    let values: FixtureValues;
    const answers: { fixture: Fixture; answer: Answer }[] = [];
    beforeAll(async () => {
      for (const unfilled of readFixtures()) {
        // One ticket does not allow enough jobs for all fixtures.
        values = await valuesFor("phi3");
        const filled = fillFixture(unfilled, values);
        if ("missing" in filled) throw new Error(`The placeholder ${filled.missing} has no value`);
        const { storedItems, ...answer } = await sendFixture(endpointOf("phi3"), filled.fixture, LIMIT_MS);
        answers.push({ fixture: filled.fixture, answer });
      }
    });

    const incompatibleFixtures = (change: Change) =>
      answers
        .filter(({ fixture, answer }) => incompatibilities(fixture, changed(answer, change), values).length > 0)
        .map(({ fixture }) => label(fixture));

    const find = (name: string) => answers.find(({ fixture }) => fixture.name === name) ?? expect.unreachable(name);

    it("stays compatible when fields are added", () => {
      const added: Change = (item) => ({
        ...item,
        mood: "merry",
        ...(item.usage && { usage: { ...item.usage, extra: 1 } }),
      });
      expect(incompatibleFixtures(added)).toEqual([]);
    });

    it.each(Object.entries(incompatibleChanges))("is incompatible after this change: %s", (_, change) => {
      expect(incompatibleFixtures(change)).not.toEqual([]);
    });

    it("is incompatible when the stream does not end with [DONE]", () => {
      const { fixture, answer } = find("openai/chat-streamed");
      const cut = { items: [String(answer.items[0]).replace("data: [DONE]\n\n", "")] };
      expect(incompatibilities(fixture, cut, values)).toContain("the last event is not [DONE]");
    });

    it("is incompatible when it ignores the stream field of the request", () => {
      const [streamed, whole] = [find("native/text"), find("native/text-whole")];
      const problem = "the reply has deltas although stream is false, or no deltas although stream is true";
      expect(incompatibilities(whole.fixture, streamed.answer, values)).toEqual([problem]);
      expect(incompatibilities(streamed.fixture, whole.answer, values)).toEqual([problem]);
    });

    it("is incompatible when it answers an OpenAI request with two objects", () => {
      const { fixture, answer } = find("openai/chat");
      const twice = { items: [answer.items[0], answer.items[0]] };
      expect(incompatibilities(fixture, twice, values)).toEqual(["the answer is not exactly one object"]);
    });

    it("is incompatible when the stored items differ from the streamed items", () => {
      const { fixture, answer } = find("native/text");
      expect(incompatibilities(fixture, { ...answer, storedItems: [] }, values)).toEqual([
        "the stored items differ from the streamed items",
      ]);
    });

    it("is incompatible when it replies to an invalid request instead of rejecting the request", () => {
      const { fixture } = find("native/ticket-missing");
      expect(incompatibilities(fixture, find("native/text").answer, values)).toEqual([
        "the answer contains no error in the contract's format",
      ]);
    });

    it("is incompatible when it returns an error instead of a reply", () => {
      const { answer } = find("native/ticket-missing");
      expect(incompatibilities(find("native/text").fixture, answer, values)).toEqual([
        expect.stringMatching(/^unexpected error: .*ticket_missing/),
      ]);
    });
  });
});

describe("The registry of error codes", () => {
  it.each(versions())("keeps the status and retryable flag of every code in contract version %s", (version) => {
    for (const [code, shipped] of Object.entries(readCodes(version)))
      expect({ [code]: errorCodes[code as keyof typeof errorCodes] }).toMatchObject({ [code]: shipped });
  });

  it("has exactly the codes of the newest contract version", () => {
    expect(Object.keys(readCodes(versions().at(-1) ?? "")).sort()).toEqual(Object.keys(errorCodes).sort());
  });
});

describe("The newest contract version", () => {
  // If this test fails because you added a field, create the next version's folder with new shapes and a fixture.
  it("has the same JSON Schemas as the current contract", () => {
    for (const [name, shape] of Object.entries(readShapes(versions().at(-1) ?? "")))
      expect(shape).toEqual(JSON.parse(generatedFiles()[`${workerContractFolder}/${name}.schema.json`] ?? ""));
  });
});

/** Changes an item or an error of an answer. Returns its argument when the change does not apply to it. */
// biome-ignore lint/suspicious/noExplicitAny: a change may break any field.
type Change = (item: any, isLast: boolean) => any;

const without =
  (name: string): Change =>
  ({ [name]: _, ...rest }) =>
    rest;

const renamed =
  (name: string, newName: string): Change =>
  ({ [name]: value, ...rest }) =>
    value === undefined ? rest : { ...rest, [newName]: value };

/** Replaces field `name` if it exists. */
const replaced =
  (name: string, value: unknown): Change =>
  (item) =>
    name in item ? { ...item, [name]: value } : item;

/** Replaces some fields of the object in field `name`. Does nothing when the field is not an object. */
const withFields =
  (name: string, fields: object): Change =>
  (item) =>
    typeof item[name] === "object" && item[name] !== null ? { ...item, [name]: { ...item[name], ...fields } } : item;

const withChoiceFields =
  (fields: object): Change =>
  (item) =>
    item.choices ? { ...item, choices: item.choices.map((choice: object) => ({ ...choice, ...fields })) } : item;

const incompatibleChanges: Record<string, Change> = {
  ...Object.fromEntries(
    ["text", "usage", "model", "timings", "finish_reason", "done", "delta"].map((name) => [
      `the native field ${name} removed`,
      without(name),
    ]),
  ),
  ...Object.fromEntries(
    ["choices", "system_fingerprint", "id", "object", "data", "version"].map((name) => [
      `the OpenAI field ${name} removed`,
      without(name),
    ]),
  ),
  "usage.completion_tokens removed": (item) =>
    item.usage ? { ...item, usage: { prompt_tokens: 1, total_tokens: 1 } } : item,
  "model.version removed": withFields("model", { version: undefined }),
  "delta renamed": renamed("delta", "piece"),
  "text renamed": renamed("text", "reply"),
  "done renamed": renamed("done", "finished"),
  "retryable renamed": (item) =>
    item.error ? { error: { ...item.error, retryable: undefined, retry: item.error.retryable } } : item,
  "a text instead of the number prompt_tokens": withFields("usage", { prompt_tokens: "40" }),
  "a text instead of the object model": (item) => (item.model?.name ? { ...item, model: item.model.name } : item),
  "texts instead of the numbers in timings": replaced("timings", { ttft_ms: "1", total_ms: "2" }),
  "an empty model.version": withFields("model", { version: "" }),
  "another model's name": withFields("model", { name: "mistral" }),
  "another model's plan": withFields("model", { plan: "paid" }),
  "another model's name in an OpenAI reply": (item) => (item.choices ? { ...item, model: "mistral" } : item),
  "another model's id in the list of models": (item) =>
    item.data ? { ...item, data: [{ ...item.data[0], id: "mistral" }] } : item,
  "another model's id in the description of a model": (item) =>
    item.object === "model" ? { ...item, id: "mistral" } : item,
  "an empty id": replaced("id", ""),
  "an empty system_fingerprint": replaced("system_fingerprint", ""),
  "a different id in each OpenAI event": (item) =>
    item.object === "chat.completion.chunk" ? { ...item, id: crypto.randomUUID() } : item,
  "an unknown finish_reason": replaced("finish_reason", "end"),
  "finish_reason stop for a reply that its token limit cut off": replaced("finish_reason", "stop"),
  "finish_reason stop for an OpenAI reply that its token limit cut off": (item) =>
    item.choices?.[0]?.finish_reason ? withChoiceFields({ finish_reason: "stop" })(item, true) : item,
  "finish_reason in every OpenAI event": (item) =>
    item.choices?.[0]?.delta ? withChoiceFields({ finish_reason: "length" })(item, true) : item,
  "no finish_reason in an OpenAI reply": withChoiceFields({ finish_reason: null }),
  "another index in an OpenAI choice": withChoiceFields({ index: 1 }),
  "an empty OpenAI message": withChoiceFields({ message: { role: "assistant", content: "" } }),
  "a role in every OpenAI event": (item) =>
    item.choices?.[0]?.delta
      ? withChoiceFields({ delta: { ...item.choices[0].delta, role: "assistant" } })(item, true)
      : item,
  "more completion tokens than allowed": withFields("usage", { completion_tokens: 9_999 }),
  "more cached tokens than prompt tokens": withFields("usage", { cached_tokens: 99_999 }),
  "more cached tokens than prompt tokens in an OpenAI reply": withFields("usage", {
    prompt_tokens_details: { cached_tokens: 99_999 },
  }),
  "no prompt tokens": withFields("usage", { prompt_tokens: 0 }),
  "a total that is not the sum of the tokens": (item) =>
    item.usage?.total_tokens ? { ...item, usage: { ...item.usage, total_tokens: 1 } } : item,
  "usage that was not requested": (item) =>
    item.object === "chat.completion.chunk" && !("usage" in item)
      ? { ...item, usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }
      : item,
  "usage in every event": (item) =>
    item.usage === null ? { ...item, usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } } : item,
  "a choice in the usage event": (item) =>
    item.choices?.length === 0
      ? { ...item, choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: "length" }] }
      : item,
  "timings in seconds": replaced("timings", { ttft_ms: 0.01, total_ms: 0.05 }),
  "ttft_ms above total_ms": replaced("timings", { ttft_ms: 20, total_ms: 10 }),
  "a text that differs from the deltas": (item) => (item.text ? { ...item, text: `${item.text}。` } : item),
  "an empty text": replaced("text", ""),
  "an empty delta": replaced("delta", ""),
  "done before the final item": (item, isLast) => (item.delta && !isLast ? { ...item, done: true } : item),
  "done false": replaced("done", false),
  "the opposite value of retryable": (item) =>
    item.error ? { error: { ...item.error, retryable: !item.error.retryable } } : item,
  "retryable null": withFields("error", { retryable: null }),
  "another error code": withFields("error", { code: "internal" }),
  "an unknown error code": withFields("error", { code: "bad_request" }),
  "an error message that names no field": withFields("error", { message: "No." }),
  "an empty error message": withFields("error", { message: "" }),
  "an OpenAI error without param": (item) => (item.error?.param ? { error: { ...item.error, param: null } } : item),
  "an OpenAI error without type": (item) => (item.error?.type ? { error: { ...item.error, type: undefined } } : item),
  "an unknown type of an OpenAI error": withFields("error", { type: "oops" }),
};

/** Applies a change to every item and error of an answer. */
function changed({ items, error, ...rest }: Answer, change: Change): Answer {
  const editItem = (item: unknown, isLast: boolean): unknown => {
    if (typeof item !== "string") return change(item, isLast);
    return item.replaceAll(
      /^data: (\{.*)$/gm,
      (_, data) => `data: ${JSON.stringify(change(JSON.parse(data), isLast))}`,
    );
  };
  const isJson = typeof error === "string" && error.startsWith("{");
  return {
    ...rest,
    items: items.map((item, index) => editItem(item, index === items.length - 1)),
    ...(error !== undefined && { error: isJson ? JSON.stringify(change(JSON.parse(error), true)) : error }),
  };
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Endpoints } from "../../contract/endpoints";
import { needsPython, workerPython } from "../../workerPython";

const NEIGHBOURS = 8;

const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const chat = (content: string) =>
  `{"openai_route":"/v1/chat/completions","openai_input":{"model":"phi3","messages":[{"role":"user","content":${content}}]}}`;

/** Inputs without a ticket, as JSON, and the code of the expected error. */
const hostileInputs = [
  ["1,000 nested lists", `{"text":${nested(1_000)}}`, "invalid_input"],
  ["280,000 parts of a message", chat(`[${Array(280_000).fill('{"type":"text","text":"a"}').join()}]`), "too_long"],
  ["130,000 empty parts of a message", chat(`[${Array(130_000).fill("{}").join()}]`), "too_long"],
  ["a text of 5.9 MB", `{"text":"${"あ".repeat(5_900_000 / 3)}"}`, "too_long"],
] as const;

describe("A worker that receives a hostile job", { ...needsPython, timeout: 120_000 }, () => {
  let endpoints: Endpoints;
  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
  });
  afterAll(() => endpoints.close());

  async function call(path: string, body?: string) {
    const response = await fetch(`${endpoints.url("phi3")}/${path}`, {
      headers: { authorization: endpoints.authorization, "content-type": "application/json" },
      ...(body && { method: "POST", body }),
    });
    return response.json();
  }

  const submit = async (input: string): Promise<string> => (await call("run", `{"input":${input}}`)).id;

  it.each(hostileInputs)("refuses %s and answers all parallel jobs", async (_, input, code) => {
    const ticket = await endpoints.ticket("phi3");
    const hostile = [await submit(input), await submit(input)];
    const jobs = await Promise.all(
      Array.from({ length: NEIGHBOURS }, () => submit(JSON.stringify({ text: "こんばんは", ticket }))),
    );
    const neighbours = await Promise.all(jobs.map((id) => call(`status-sync/${id}`)));
    expect(neighbours.map(({ status }) => status)).toEqual(Array(NEIGHBOURS).fill("COMPLETED"));
    for (const id of hostile) {
      const result = await call(`status-sync/${id}`);
      expect([result.status, JSON.parse(result.error).error.code]).toEqual(["FAILED", code]);
    }
  });
});

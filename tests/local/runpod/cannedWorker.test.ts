import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChatCompletion, ChatCompletionChunk, ModelCard, ModelList } from "../../../contract/openai";
import { models } from "../../../contract/plan";
import { StreamItem } from "../../../contract/worker";
import { startCannedWorker } from "../../../local/runpod/workers/cannedWorker";
import { ACCOUNT_KEY, RunpodFixture } from "./fixture";

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start({ startWorker: startCannedWorker });
});
afterEach(() => runpod.dispose());

const deploy = async (model: string) =>
  (await runpod.deploy({ name: model, workersMax: 1 }, { name: model, env: [{ key: "MODEL", value: model }] })).id;

describe.each(models)("The canned worker of %s", (model) => {
  it("streams the reply in pieces and then sends the whole reply", async () => {
    const id = await deploy(model);
    const { id: job } = await runpod.json(`${id}/run`, { input: { text: "こんばんは" } });
    const items: StreamItem[] = [];
    for (let status = "IN_QUEUE"; status !== "COMPLETED"; ) {
      const part = await runpod.json(`${id}/stream/${job}`);
      items.push(...part.stream.map(({ output }: { output: unknown }) => StreamItem.parse(output)));
      status = part.status;
    }
    const deltas = items.flatMap((item) => ("delta" in item ? [item.delta] : []));
    expect(deltas.length).toBeGreaterThan(1);
    expect(items.at(-1)).toMatchObject({
      done: true,
      text: deltas.join(""),
      finish_reason: "stop",
      model: { name: model, version: "1.0.0" },
    });
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "COMPLETED", output: items });
  });

  it("returns only the whole reply when the input sets stream to false", async () => {
    const { output } = await runpod.json(`${await deploy(model)}/runsync`, { input: { text: "x", stream: false } });
    expect(output).toEqual([expect.objectContaining({ done: true })]);
    expect(StreamItem.parse(output[0])).toEqual(output[0]);
  });

  it("answers the OpenAI route with a chat completion and with a stream of chunks", async () => {
    const id = await deploy(model);
    const body = { model, messages: [{ role: "user", content: "こんばんは" }] };
    const whole = ChatCompletion.parse(await runpod.json(`${id}/openai/v1/chat/completions`, body));
    const chunksOf = async (more: object) => {
      const streamed = { ...body, stream: true, ...more };
      const response = await runpod.call(`${id}/openai/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify(streamed),
      });
      const events = (await response.text()).split("\n\n").filter(Boolean);
      expect(events.pop()).toBe("data: [DONE]");
      return events.map((event) => ChatCompletionChunk.parse(JSON.parse(event.replace(/^data: /, ""))));
    };
    const chunks = await chunksOf({});
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(
      whole.choices[0]?.message.content,
    );
    expect(chunks.map(({ choices }) => choices[0]?.delta.role)).toEqual([
      "assistant",
      ...chunks.slice(1).map(() => undefined),
    ]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
    const withUsage = await chunksOf({ stream_options: { include_usage: true } });
    expect(withUsage.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
  });

  it("lists its model on the OpenAI route", async () => {
    const id = await deploy(model);
    const list = ModelList.parse(await runpod.json(`${id}/openai/v1/models`));
    expect(list.data[0]).toMatchObject({ id: model, version: "1.0.0" });
    expect(ModelCard.parse(await runpod.json(`${id}/openai/v1/models/${model}`))).toEqual(list.data[0]);
  });
});

describe("The RunPod double without Python", () => {
  it("runs the canned worker and stops the worker on close", async () => {
    await runpod.close();
    const double = await runpod.start({ startWorker: undefined });
    expect(double.workerKind).toBe("canned");
    const id = await deploy("phi3");
    const { output } = await runpod.json(`${id}/runsync`, { input: { text: "x", ticket: "not checked" } });
    expect(output.at(-1)).toMatchObject({ done: true });
    await runpod.close();
    expect(runpod.events.filter((line) => line.includes("crashed"))).toEqual([]);
  });

  it("reports the canned worker as unhealthy when the model is unknown", async () => {
    const id = await deploy("unknown");
    const { workers } = await (await runpod.call(`${id}/health`, {}, ACCOUNT_KEY)).json();
    expect(workers).toMatchObject({ unhealthy: 1 });
  });
});

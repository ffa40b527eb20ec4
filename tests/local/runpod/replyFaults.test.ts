import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReplyFault } from "../../../local/runpod/account/switches";
import { RunpodFixture } from "./fixture";

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
});
afterEach(() => runpod.dispose());

const timings = { ttft_ms: 200, total_ms: 900 };
const usage = { prompt_tokens: 1, completion_tokens: 2 };
const end = { done: true, text: "やあ", usage, timings };

/** Runs a job on the endpoint `mistral-candidate` while another endpoint has the fault. */
async function reply(fault: ReplyFault["fault"], on = "mistral-candidate") {
  runpod.double.switches.replyFaults = [{ on, fault }];
  const { id } = await runpod.deploy({ name: "mistral-candidate" });
  const job = (await runpod.json(`${id}/run`, { input: { text: "x" } })).id;
  await runpod.worker.next();
  for (const item of [{ delta: "やあ" }, end]) await runpod.worker.stream(job, item);
  await runpod.worker.done(job, { output: [{ delta: "やあ" }, end] });
  const { stream } = await runpod.json(`${id}/stream/${job}`);
  const { status, output, error } = await runpod.json(`${id}/status/${job}`);
  return { status, error, output, items: stream.map((chunk: { output: unknown }) => chunk.output) };
}

describe("A fault of an endpoint's replies", () => {
  it("makes the jobs fail before their first text", async () => {
    expect(await reply("failed")).toEqual({ status: "FAILED", error: expect.stringContaining("CUDA"), items: [] });
  });

  it("removes the text, in the stream and in the result", async () => {
    const empty = { ...end, text: "" };
    expect(await reply("empty")).toEqual({ status: "COMPLETED", output: [empty], items: [empty] });
  });

  it("removes a field that the contract requires", async () => {
    const { usage: _, ...broken } = end;
    expect((await reply("invalid")).items).toEqual([{ delta: "やあ" }, broken]);
  });

  it("delays the first text, and adds the delay to the worker's own time", async () => {
    const { output } = await reply("slow");
    expect(output.at(-1).timings).toEqual({ ttft_ms: 3_200, total_ms: 3_900 });
  });

  it("leaves the replies of other endpoints unchanged", async () => {
    const whole = [{ delta: "やあ" }, end];
    expect(await reply("failed", "mistral")).toEqual({ status: "COMPLETED", output: whole, items: whole });
  });
});

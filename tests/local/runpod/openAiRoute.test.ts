import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunpodFixture } from "./fixture";

let runpod: RunpodFixture;
let id: string;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
  ({ id } = await runpod.deploy());
});
afterEach(() => runpod.dispose());

const ask = (body: object, query = "", signal?: AbortSignal) =>
  runpod.call(`${id}/openai/v1/chat/completions${query}`, {
    method: "POST",
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });

describe("The OpenAI route with a failed job", () => {
  it("answers 500 with the worker's error if it is JSON, and with an OpenAI error otherwise", async () => {
    const error = JSON.stringify({ error: { message: "no", type: "authentication_error", code: "ticket_missing" } });
    const json = ask({});
    await runpod.worker.done((await runpod.worker.next()).id, { error });
    expect((await json).status).toBe(500);
    expect(await (await json).text()).toBe(error);

    const text = ask({});
    await runpod.worker.done((await runpod.worker.next()).id, { error: "handler: boom" });
    expect((await text).status).toBe(500);
    expect(await (await text).json()).toMatchObject({ error: { message: "handler: boom", type: "server_error" } });
  });

  it("ends a stream after the worker's final chunk and adds no error event", async () => {
    const answer = ask({ stream: true });
    const job = await runpod.worker.next();
    await runpod.worker.stream(job.id, 'data: {"error":{}}\n\n');
    await runpod.worker.done(job.id, { error: "boom" });
    expect((await answer).status).toBe(200);
    expect(await (await answer).text()).toBe('data: {"error":{}}\n\n');
  });
});

describe("The OpenAI route", () => {
  it("answers 524 after the maximum wait and lets the job continue", async () => {
    const answer = ask({}, "?wait=1000");
    const job = await runpod.worker.next();
    expect((await answer).status).toBe(524);
    expect(await runpod.json(`${id}/status/${job.id}`)).toMatchObject({ status: "IN_PROGRESS" });
  });

  it("cancels the job when the client closes its connection", async () => {
    const hangUp = new AbortController();
    const answer = ask({ stream: true }, "", hangUp.signal).catch(() => "hung up");
    const job = await runpod.worker.next();
    const jobsToStop = runpod.worker.jobsToStop();
    hangUp.abort();
    await answer;
    expect(await jobsToStop).toEqual([job.id]);
    expect(await runpod.json(`${id}/status/${job.id}`)).toMatchObject({ status: "CANCELLED" });
  });

  it("gives the worker an empty body for a request without a body", async () => {
    const answer = runpod.call(`${id}/openai/v1/models`);
    const job = await runpod.worker.next();
    expect(job.input).toEqual({ openai_route: "/v1/models", openai_input: {} });
    await runpod.worker.done(job.id, { output: [{ object: "list", data: [] }] });
    expect(await (await answer).json()).toEqual({ object: "list", data: [] });
  });
});

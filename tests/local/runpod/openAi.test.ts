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

describe("the OpenAI route of a job that fails", () => {
  it("is a 500, whatever the error is, with the worker's own body where that is JSON", async () => {
    const error = JSON.stringify({ error: { message: "no", type: "authentication_error", code: "ticket_missing" } });
    const own = ask({});
    await runpod.worker.done((await runpod.worker.next()).id, { error });
    expect((await own).status).toBe(500);
    expect(await (await own).text()).toBe(error);

    const other = ask({});
    await runpod.worker.done((await runpod.worker.next()).id, { error: "handler: boom" });
    expect((await other).status).toBe(500);
    expect(await (await other).json()).toMatchObject({ error: { message: "handler: boom", type: "server_error" } });
  });

  it("ends a stream after what the worker sent, and adds nothing", async () => {
    const answer = ask({ stream: true });
    const job = await runpod.worker.next();
    await runpod.worker.stream(job.id, 'data: {"error":{}}\n\n');
    await runpod.worker.done(job.id, { error: "boom" });
    expect((await answer).status).toBe(200);
    expect(await (await answer).text()).toBe('data: {"error":{}}\n\n');
  });
});

describe("the OpenAI route", () => {
  it("gives up on a job that takes too long with Cloudflare's 524, and lets it run", async () => {
    const answer = ask({}, "?wait=1000");
    const job = await runpod.worker.next();
    expect((await answer).status).toBe(524);
    expect(await runpod.json(`${id}/status/${job.id}`)).toMatchObject({ status: "IN_PROGRESS" });
  });

  it("cancels the job of a client that hangs up", async () => {
    const hangUp = new AbortController();
    const answer = ask({ stream: true }, "", hangUp.signal).catch(() => "hung up");
    const job = await runpod.worker.next();
    const stops = runpod.worker.stops();
    hangUp.abort();
    await answer;
    expect(await stops).toEqual([job.id]);
    expect(await runpod.json(`${id}/status/${job.id}`)).toMatchObject({ status: "CANCELLED" });
  });

  it("hands a request without a body over as one with an empty body", async () => {
    const answer = runpod.call(`${id}/openai/v1/models`);
    const job = await runpod.worker.next();
    expect(job.input).toEqual({ openai_route: "/v1/models", openai_input: {} });
    await runpod.worker.done(job.id, { output: [{ object: "list", data: [] }] });
    expect(await (await answer).json()).toEqual({ object: "list", data: [] });
  });
});

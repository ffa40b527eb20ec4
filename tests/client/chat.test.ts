import { afterEach, describe, expect, it } from "vitest";
import { ApiProblem, type ChatInput, type ChatItem, type ChatOptions, chat, type Session } from "../../client";
import { doneItem, type JobScript, sessionFor, startJobApi } from "./fakes";

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function jobApi(script: JobScript) {
  const server = await startJobApi(script);
  running.push(server);
  return server;
}

async function collect(session: Session, input: ChatInput, options?: ChatOptions): Promise<ChatItem[]> {
  const items: ChatItem[] = [];
  for await (const item of chat(session, input, options)) items.push(item);
  return items;
}

async function problemOf(promise: Promise<unknown>): Promise<ApiProblem> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

const done = doneItem("あら、いらっしゃい。");

describe("a chat", () => {
  it("yields every delta in order and then the whole reply, however the polls cut it", async () => {
    const server = await jobApi({
      stream: [
        { status: "IN_QUEUE" },
        { status: "IN_PROGRESS", items: [{ delta: "あら、" }] },
        { status: "IN_PROGRESS" },
        { status: "COMPLETED", items: [{ delta: "いらっしゃい" }, { delta: "。" }, done] },
      ],
    });
    const items = await collect(sessionFor(server.url), { text: "こんばんは" });
    expect(items).toEqual([{ delta: "あら、" }, { delta: "いらっしゃい" }, { delta: "。" }, done]);
  });

  it("sends the session's authorization and puts its ticket into the input", async () => {
    const server = await jobApi({ stream: [{ status: "COMPLETED", items: [done] }] });
    await collect(sessionFor(server.url), { text: "こんばんは", params: { max_tokens: 32 } });
    expect(server.inputs).toEqual([{ text: "こんばんは", params: { max_tokens: 32 }, ticket: "ticket-1" }]);
    const wrongKey = sessionFor(server.url, { inference: { url: `${server.url}/v2/ep1`, authorization: "Bearer x" } });
    expect((await problemOf(collect(wrongKey, { text: "a" }))).code).toBe("unauthorized");
  });

  it("ends at the item with done, without waiting for the job's status and without cancelling it", async () => {
    const server = await jobApi({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }, done] }] });
    await collect(sessionFor(server.url), { text: "a" });
    expect(server.calls).toEqual(["POST /run", "GET /stream/job-1-u1"]);
  });

  it("reads the result from the status when it did not come by the stream", async () => {
    const server = await jobApi({
      stream: [{ status: "COMPLETED" }],
      status: { status: "COMPLETED", output: [{ delta: "あら" }, done] },
    });
    expect(await collect(sessionFor(server.url), { text: "a", stream: false })).toEqual([done]);
  });

  it("is a problem, and not an endless wait, when a finished job has no result", async () => {
    const server = await jobApi({ stream: [{ status: "COMPLETED" }], status: { status: "COMPLETED" } });
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject({ code: "internal" });
  });

  it("goes on after a poll that failed", async () => {
    const server = await jobApi({ stream: [502, { status: "COMPLETED", items: [done] }] });
    expect(await collect(sessionFor(server.url), { text: "a" })).toEqual([done]);
  });

  it("gives up, and cancels, when every poll fails", async () => {
    const server = await jobApi({ stream: [502] });
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }))).code).toBe("unavailable");
    expect(server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });
});

describe("a job that fails", () => {
  const failures: [string, object, object][] = [
    [
      "with the worker's own error",
      {
        status: "FAILED",
        error: '{"error":{"code":"too_long","message":"text: at most 500 characters.","retryable":false}}',
      },
      { code: "too_long", message: "text: at most 500 characters.", retryable: false },
    ],
    ["with a traceback", { status: "FAILED", error: "handler: boom traceback: /app/x.py" }, { code: "internal" }],
    ["by RunPod's time limit", { status: "TIMED_OUT" }, { code: "timeout", retryable: true }],
    [
      "by RunPod's time limit, said in words",
      { status: "FAILED", error: "executionTimeout exceeded" },
      { code: "timeout" },
    ],
    ["by a cancel from elsewhere", { status: "CANCELLED" }, { code: "unavailable" }],
  ];
  it.each(failures)("%s is a typed problem", async (_, status, expected) => {
    const { status: ended } = status as { status: string };
    const server = await jobApi({ stream: [{ status: ended }], status });
    const problem = await problemOf(collect(sessionFor(server.url), { text: "a" }));
    expect(problem).toMatchObject(expected);
    expect(problem.message).not.toContain("/app");
  });

  it.each([
    [429, { code: "rate_limited", retryable: true }],
    [404, { code: "unavailable", retryable: false }],
  ] as const)("before it is a job, with HTTP %d, is one too", async (status, expected) => {
    const server = await jobApi({ refuse: () => ({ status, body: {} }) });
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject(expected);
  });

  it("because nobody listens there, is one too", async () => {
    const server = await startJobApi({});
    await server.close();
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject({ code: "unavailable" });
  });
});

describe("stopping a chat", () => {
  const endless: JobScript = { stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }] }] };

  it("by its signal throws the signal's reason and cancels the job", async () => {
    const server = await jobApi(endless);
    const controller = new AbortController();
    const reason = new Error("closed");
    const reading = (async () => {
      for await (const item of chat(sessionFor(server.url), { text: "a" }, { signal: controller.signal })) {
        if ("delta" in item) controller.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("by leaving the loop cancels the job", async () => {
    const server = await jobApi(endless);
    for await (const _ of chat(sessionFor(server.url), { text: "a" })) break;
    expect(server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("happens by itself at the limit on total time, as a problem", async () => {
    const server = await jobApi(endless);
    const problem = await problemOf(collect(sessionFor(server.url), { text: "a" }, { timeoutMs: 700 }));
    expect(problem).toMatchObject({ code: "timeout", retryable: true });
    expect(server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("before it began asks for nothing", async () => {
    const server = await jobApi(endless);
    const signal = AbortSignal.abort(new Error("never mind"));
    await expect(collect(sessionFor(server.url), { text: "a" }, { signal })).rejects.toThrow("never mind");
    expect(server.calls).toEqual([]);
  });
});

describe("a ticket that ended", () => {
  const expired = '{"error":{"code":"ticket_expired","message":"The ticket has expired.","retryable":true}}';
  const script: JobScript = {
    jobFor: (ticket) =>
      ticket === "ticket-2"
        ? { stream: [{ status: "COMPLETED", items: [done] }] }
        : { stream: [{ status: "FAILED" }], status: { status: "FAILED", error: expired } },
  };

  it("is renewed once and the question asked again", async () => {
    const server = await jobApi(script);
    const renew = async () => sessionFor(server.url, { ticket: "ticket-2" });
    expect(await collect(sessionFor(server.url), { text: "a" }, { renew })).toEqual([done]);
    expect(server.inputs.map((input) => input.ticket)).toEqual(["ticket-1", "ticket-2"]);
  });

  it("is renewed before the job when the client can see it", async () => {
    const server = await jobApi(script);
    const old = sessionFor(server.url, { ticket_expires_at: new Date(Date.now() - 1000).toISOString() });
    await collect(old, { text: "a" }, { renew: async () => sessionFor(server.url, { ticket: "ticket-2" }) });
    expect(server.inputs.map((input) => input.ticket)).toEqual(["ticket-2"]);
  });

  it("is thrown when renewing does not help, and without a way to renew", async () => {
    const server = await jobApi(script);
    const renew = async () => sessionFor(server.url, { ticket: "ticket-3" });
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }, { renew }))).code).toBe("ticket_expired");
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }))).code).toBe("ticket_expired");
    expect(server.inputs).toHaveLength(3);
  });
});

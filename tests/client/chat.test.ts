import { afterEach, describe, expect, it, vi } from "vitest";
import {
  ApiProblem,
  type ChatInput,
  type ChatItem,
  type ChatOptions,
  chat,
  fitConversation,
  type Session,
} from "../../client";
import { doneItem, type JobScript, sessionFor, startJobApi } from "./fakes";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function jobApi(script: JobScript) {
  const server = await startJobApi(script);
  servers.push(server);
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

describe("A chat", () => {
  it("yields all deltas in order and then the whole reply when several polls are needed", async () => {
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

  it("sends the session's authorization, and sends the session's ticket in the input", async () => {
    const server = await jobApi({ stream: [{ status: "COMPLETED", items: [done] }] });
    await collect(sessionFor(server.url), { text: "こんばんは", params: { max_tokens: 32 } });
    expect(server.inputs).toEqual([{ text: "こんばんは", params: { max_tokens: 32 }, ticket: "ticket-1" }]);
    const wrongKey = sessionFor(server.url, { inference: { url: `${server.url}/v2/ep1`, authorization: "Bearer x" } });
    expect((await problemOf(collect(wrongKey, { text: "a" }))).code).toBe("unauthorized");
  });

  it("ends after the item with `done: true`, without a /status or /cancel request", async () => {
    const server = await jobApi({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }, done] }] });
    await collect(sessionFor(server.url), { text: "a" });
    expect(server.calls).toEqual(["POST /run", "GET /stream/job-1-u1"]);
  });

  it("reads the result from /status when /stream did not deliver the final item", async () => {
    const server = await jobApi({
      stream: [{ status: "COMPLETED" }],
      status: { status: "COMPLETED", output: [{ delta: "あら" }, done] },
    });
    expect(await collect(sessionFor(server.url), { text: "a", stream: false })).toEqual([done]);
  });

  it("throws internal when the finished job has no result", async () => {
    const server = await jobApi({ stream: [{ status: "COMPLETED" }], status: { status: "COMPLETED" } });
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject({ code: "internal" });
  });

  it("continues after one failed poll", async () => {
    const server = await jobApi({ stream: [502, { status: "COMPLETED", items: [done] }] });
    expect(await collect(sessionFor(server.url), { text: "a" })).toEqual([done]);
  });

  it("cancels the job and throws unavailable when every poll fails", async () => {
    const server = await jobApi({ stream: [502] });
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }))).code).toBe("unavailable");
    await expect.poll(() => server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });
});

describe("A chat with a failed job", () => {
  const failures: [string, object, object][] = [
    [
      "the worker's error",
      {
        status: "FAILED",
        error: '{"error":{"code":"too_long","message":"text: at most 500 characters.","retryable":false}}',
      },
      { code: "too_long", message: "text: at most 500 characters.", retryable: false },
    ],
    [
      "a traceback in the error",
      { status: "FAILED", error: "handler: boom traceback: /app/x.py" },
      { code: "internal" },
    ],
    ["a job with status TIMED_OUT", { status: "TIMED_OUT" }, { code: "timeout", retryable: true }],
    [
      "an error about RunPod's time limit",
      { status: "FAILED", error: "executionTimeout exceeded" },
      { code: "timeout" },
    ],
    ["a job that someone else cancelled", { status: "CANCELLED" }, { code: "unavailable" }],
  ];
  it.each(failures)("throws a typed problem for %s", async (_, status, expected) => {
    const { status: ended } = status as { status: string };
    const server = await jobApi({ stream: [{ status: ended }], status });
    const problem = await problemOf(collect(sessionFor(server.url), { text: "a" }));
    expect(problem).toMatchObject(expected);
    expect(problem.message).not.toContain("/app");
  });

  it.each([
    [429, { code: "rate_limited", retryable: true }],
    [404, { code: "unavailable", retryable: false }],
  ] as const)("throws a typed problem when /run responds with HTTP %d", async (status, expected) => {
    const server = await jobApi({ reject: () => ({ status, body: {} }) });
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject(expected);
  });

  it("throws unavailable when no server runs at the endpoint's URL", async () => {
    const server = await startJobApi({});
    await server.close();
    expect(await problemOf(collect(sessionFor(server.url), { text: "a" }))).toMatchObject({ code: "unavailable" });
  });
});

describe("A stopped chat", () => {
  const endless: JobScript = { stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }] }] };

  it("throws the signal's reason and cancels the job when the signal is aborted", async () => {
    const server = await jobApi(endless);
    const controller = new AbortController();
    const reason = new Error("closed");
    const reading = (async () => {
      for await (const item of chat(sessionFor(server.url), { text: "a" }, { signal: controller.signal })) {
        if ("delta" in item) controller.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    await expect.poll(() => server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("cancels the job when the caller leaves the loop", async () => {
    const server = await jobApi(endless);
    for await (const _ of chat(sessionFor(server.url), { text: "a" })) break;
    await expect.poll(() => server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("throws timeout and cancels the job when the chat's time limit is reached", async () => {
    const server = await jobApi(endless);
    const problem = await problemOf(collect(sessionFor(server.url), { text: "a" }, { timeoutMs: 700 }));
    expect(problem).toMatchObject({ code: "timeout", retryable: true });
    await expect.poll(() => server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("throws at once when the signal is aborted during POST /run, and cancels the job after the response", async () => {
    const controller = new AbortController();
    const answer = Promise.withResolvers<void>();
    const server = await jobApi({
      ...endless,
      beforeAnswer: () => {
        controller.abort(new Error("stopped"));
        return answer.promise;
      },
    });
    const chatting = collect(sessionFor(server.url), { text: "a" }, { signal: controller.signal });
    await expect(chatting).rejects.toThrow("stopped");
    expect(server.calls).toEqual(["POST /run"]);
    answer.resolve();
    await expect.poll(() => server.calls).toEqual(["POST /run", "POST /cancel/job-1-u1"]);
  });

  it("sends one cancellation before abort() returns, so that a closing page can still send it", async () => {
    const server = await jobApi(endless);
    const controller = new AbortController();
    const reading = collect(sessionFor(server.url), { text: "a" }, { signal: controller.signal }).catch(
      () => undefined,
    );
    await expect.poll(() => server.calls.length).toBeGreaterThan(2);
    const requests: string[] = [];
    const realFetch = fetch;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      if (init.keepalive) requests.push(new URL(url).pathname);
      return realFetch(url, init);
    });
    controller.abort(new Error("stopped"));
    expect(requests).toEqual(["/v2/ep1/cancel/job-1-u1"]);
    await reading;
    expect(requests).toHaveLength(1);
  });

  it("sends no request when the signal was aborted before the chat started", async () => {
    const server = await jobApi(endless);
    const signal = AbortSignal.abort(new Error("cancelled"));
    await expect(collect(sessionFor(server.url), { text: "a" }, { signal })).rejects.toThrow("cancelled");
    expect(server.calls).toEqual([]);
  });
});

describe("A job that nobody can cancel", () => {
  const script: JobScript = { stream: [{ status: "COMPLETED", items: [done] }] };

  it("ends by itself, because the client sends the chat's time limit as the job's ttl", async () => {
    const server = await jobApi(script);
    await collect(sessionFor(server.url), { text: "a" });
    await collect(sessionFor(server.url), { text: "a" }, { timeoutMs: 60_000 });
    // RunPod rejects a ttl under 10 s.
    await collect(sessionFor(server.url), { text: "a" }, { timeoutMs: 5_000 });
    expect(server.policies).toEqual([{ ttl: 300_000 }, { ttl: 60_000 }, { ttl: 10_000 }]);
  });
});

describe("A cancelled reply", () => {
  const endless: JobScript = { stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }] }] };

  it("throws cancelled with the text so far, and cancels the job", async () => {
    const server = await jobApi(endless);
    const reply = chat(sessionFor(server.url), { text: "a" });
    const reading = (async () => {
      for await (const item of reply) if ("delta" in item) reply.cancel();
    })();
    expect(await problemOf(reading)).toMatchObject({ code: "cancelled", retryable: false, partialText: "あら" });
    await expect.poll(() => server.calls.at(-1)).toBe("POST /cancel/job-1-u1");
  });

  it("sends no request when it is cancelled before the first item is read", async () => {
    const server = await jobApi(endless);
    const reply = chat(sessionFor(server.url), { text: "a" });
    reply.cancel();
    expect((await problemOf(reply.next())).code).toBe("cancelled");
    expect(server.calls).toEqual([]);
  });

  it.each(["/run", "/stream", "/status", "/cancel"])(
    "leaves no job running when the signal is aborted during a %s request",
    async (path) => {
      const server = await jobApi({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら" }] }, 502] });
      const controller = new AbortController();
      const realFetch = fetch;
      vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
        const answer = realFetch(url, init);
        if (new URL(url).pathname.includes(path)) queueMicrotask(() => controller.abort(new Error("stopped")));
        return answer;
      });
      await collect(sessionFor(server.url), { text: "a" }, { signal: controller.signal }).catch(() => undefined);
      await expect.poll(() => server.calls).toContain("POST /cancel/job-1-u1");
    },
  );
});

describe("An expired ticket", () => {
  const expired = '{"error":{"code":"ticket_expired","message":"The ticket has expired.","retryable":true}}';
  const script: JobScript = {
    jobFor: (ticket) =>
      ticket === "ticket-2"
        ? { stream: [{ status: "COMPLETED", items: [done] }] }
        : { stream: [{ status: "FAILED" }], status: { status: "FAILED", error: expired } },
  };

  it("is renewed once after the worker rejects it, and the message is sent again", async () => {
    const server = await jobApi(script);
    const renew = async () => sessionFor(server.url, { ticket: "ticket-2" });
    expect(await collect(sessionFor(server.url), { text: "a" }, { renew })).toEqual([done]);
    expect(server.inputs.map((input) => input.ticket)).toEqual(["ticket-1", "ticket-2"]);
  });

  it("is renewed before the job starts when the session's ticket_expires_at has passed", async () => {
    const server = await jobApi(script);
    const expiredSession = sessionFor(server.url, { ticket_expires_at: new Date(Date.now() - 1000).toISOString() });
    await collect(expiredSession, { text: "a" }, { renew: async () => sessionFor(server.url, { ticket: "ticket-2" }) });
    expect(server.inputs.map((input) => input.ticket)).toEqual(["ticket-2"]);
  });

  it("ends the chat with ticket_expired when the new ticket is also rejected or there is no renew function", async () => {
    const server = await jobApi(script);
    const renew = async () => sessionFor(server.url, { ticket: "ticket-3" });
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }, { renew }))).code).toBe("ticket_expired");
    expect((await problemOf(collect(sessionFor(server.url), { text: "a" }))).code).toBe("ticket_expired");
    expect(server.inputs).toHaveLength(3);
  });
});

describe("fitConversation", () => {
  const limits = { max_tokens: 64, max_messages: 3, max_input_chars: 5 };
  const user = (content: string) => ({ role: "user" as const, content });
  const mama = (content: string) => ({ role: "assistant" as const, content });

  it("keeps the newest messages and starts with a user's message", () => {
    const all = [user("1"), mama("2"), user("3"), mama("4"), user("5")];
    expect(fitConversation(all, limits)).toEqual([user("3"), mama("4"), user("5")]);
    expect(fitConversation(all, { ...limits, max_messages: 2 })).toEqual([user("5")]);
  });

  it("shortens only the assistant's messages and does not split a character", () => {
    expect(fitConversation([user("123456"), mama("1234🍶")], limits)).toEqual([user("123456"), mama("1234")]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { VipProvider } from "../../../../contract/relay";
import type { FailureCause } from "../../../../functions/core/relay/failure";
import { ProviderFailure } from "../../../../functions/core/relay/provider";
import { json, type Script, type ScriptedServer, startScriptedServer, stream } from "./scriptedServer";
import { chat, claude, createProvider, frame, KEY, readAll, sse, wireFormats } from "./wireFormats";

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());

/** Error text of a vendor, which can quote the prompt and the key. */
const WORDS = `${chat.messages[2]?.content} ${KEY} ${chat.system.persona}`;

const openaiError = (status: number, code: string | null, type: string, message = WORDS, headers = {}) =>
  json(status, { error: { message, type, code, param: null } }, headers);
const claudeError = (status: number, type: string, message = WORDS, headers = {}) =>
  json(status, { type: "error", error: { type, message }, request_id: "req_1" }, headers);
const bedrockError = (status: number, type: string, message = WORDS, headers = {}) =>
  json(status, { message }, { "x-amzn-errortype": type, ...headers });
const reset: Script = (_, request) => {
  request.socket.resetAndDestroy();
};

async function failureOf(name: VipProvider, script: Script): Promise<ProviderFailure> {
  server.script = script;
  const before = server.requests.length;
  const provider = await createProvider(name, wireFormats[name].env(server.url));
  const failure = await readAll(provider.stream(chat, new AbortController().signal)).then(
    (reply) => expect.fail(`Expected a failure, got ${JSON.stringify(reply)}`),
    (error: unknown) => error,
  );
  if (!(failure instanceof ProviderFailure)) throw failure;
  expect(server.requests.length - before, "the SDK must not retry").toBeLessThanOrEqual(1);
  return failure;
}

type Row = [condition: string, reason: FailureCause, script: Script];

const openaiRows: Row[] = [
  ["429", "rate_limited", openaiError(429, "rate_limit_exceeded", "requests")],
  ["429 without a code", "rate_limited", openaiError(429, null, "tokens")],
  ["503", "overloaded", openaiError(503, null, "server_error_of_another_kind")],
  ["529", "overloaded", openaiError(529, null, "x")],
  ["500", "upstream_error", openaiError(500, null, "server_error")],
  ["502 with HTML", "upstream_error", (response) => void response.writeHead(502).end("<html>bad gateway</html>")],
  ["504", "upstream_error", openaiError(504, null, "x")],
  ["a reset before the headers", "upstream_error", reset],
  ["a 429 for an exhausted quota", "auth_or_quota", openaiError(429, "insufficient_quota", "insufficient_quota")],
  ["401", "auth_or_quota", openaiError(401, "invalid_api_key", "invalid_request_error")],
  ["402", "auth_or_quota", json(402, { error: WORDS })],
  ["403", "auth_or_quota", openaiError(403, "unsupported_country_region_territory", "invalid_request_error")],
  ["404 for a retired model", "not_found", openaiError(404, "model_not_found", "invalid_request_error")],
  ["400 for a model that the router does not serve", "not_found", openaiError(400, "model_not_supported", "x")],
  ["context_length_exceeded", "context_too_long", openaiError(400, "context_length_exceeded", "invalid_request_error")],
  [
    "a full context, only described in the error text",
    "context_too_long",
    openaiError(400, null, "BadRequestError", `This model's maximum context length is 4096 tokens. ${WORDS}`),
  ],
  ["400", "invalid_request", openaiError(400, "unsupported_value", "invalid_request_error")],
  ["422", "invalid_request", openaiError(422, null, "x")],
  [
    "an error in the stream",
    "upstream_error",
    inStream("openai", sse({ error: { message: WORDS, type: "server_error" } })),
  ],
  ["a rate limit in the stream", "rate_limited", inStream("openai", sse({ error: { code: "rate_limit_exceeded" } }))],
  [
    "an exhausted quota in the stream",
    "auth_or_quota",
    inStream("openai", sse({ error: { code: "insufficient_quota" } })),
  ],
  ["a status in the stream", "overloaded", inStream("openai", sse({ error: { message: WORDS, code: 503 } }))],
  ["an error in the stream, only described in the error text", "broken", inStream("openai", sse({ error: WORDS }))],
];

const rows: Record<VipProvider, Row[]> = {
  anthropic: [
    ["429", "rate_limited", claudeError(429, "rate_limit_error")],
    ["529", "overloaded", claudeError(529, "overloaded_error")],
    ["503", "overloaded", claudeError(503, "x")],
    ["500", "upstream_error", claudeError(500, "api_error")],
    ["502 with HTML", "upstream_error", (response) => void response.writeHead(502).end("<html>bad gateway</html>")],
    ["504", "upstream_error", claudeError(504, "timeout_error")],
    ["a reset before the headers", "upstream_error", reset],
    ["billing_error", "auth_or_quota", claudeError(402, "billing_error")],
    [
      "no credit",
      "auth_or_quota",
      claudeError(400, "invalid_request_error", `Your credit balance is too low. ${WORDS}`),
    ],
    ["401", "auth_or_quota", claudeError(401, "authentication_error")],
    ["403", "auth_or_quota", claudeError(403, "permission_error")],
    ["404 for a retired model", "not_found", claudeError(404, "not_found_error")],
    [
      "a prompt that is too long",
      "context_too_long",
      claudeError(400, "invalid_request_error", `prompt is too long: 210000 tokens > 200000 maximum. ${WORDS}`),
    ],
    ["413", "context_too_long", claudeError(413, "request_too_large")],
    ["400", "invalid_request", claudeError(400, "invalid_request_error")],
    ["422", "invalid_request", claudeError(422, "x")],
    ["overload in the stream", "overloaded", inStream("anthropic", claudeEvent("overloaded_error"))],
    ["a rate limit in the stream", "rate_limited", inStream("anthropic", claudeEvent("rate_limit_error"))],
    ["an error in the stream", "upstream_error", inStream("anthropic", claudeEvent("api_error"))],
    ["a full context without text", "context_too_long", inStream("anthropic", fullContext())],
  ],
  openai: openaiRows,
  huggingface: openaiRows,
  bedrock: [
    ["ThrottlingException", "rate_limited", bedrockError(429, "ThrottlingException")],
    ["ServiceUnavailableException", "overloaded", bedrockError(503, "ServiceUnavailableException")],
    ["ModelNotReadyException", "overloaded", bedrockError(429, "ModelNotReadyException")],
    ["InternalServerException", "upstream_error", bedrockError(500, "InternalServerException")],
    ["ModelErrorException", "upstream_error", bedrockError(424, "ModelErrorException")],
    ["502 with HTML", "upstream_error", (response) => void response.writeHead(502).end("<html>bad gateway</html>")],
    ["504", "upstream_error", bedrockError(504, "x")],
    ["a reset before the headers", "upstream_error", reset],
    ["ModelTimeoutException", "timeout", bedrockError(408, "ModelTimeoutException")],
    ["ServiceQuotaExceededException", "auth_or_quota", bedrockError(400, "ServiceQuotaExceededException")],
    ["AccessDeniedException", "auth_or_quota", bedrockError(403, "AccessDeniedException")],
    ["expired credentials", "auth_or_quota", bedrockError(403, "ExpiredTokenException")],
    ["a retired model", "not_found", bedrockError(404, "ResourceNotFoundException")],
    [
      "an unknown model",
      "not_found",
      bedrockError(400, "ValidationException", "The provided model identifier is invalid."),
    ],
    [
      "a model without on-demand throughput",
      "misconfigured",
      bedrockError(400, "ValidationException", "Invocation of model ID x with on-demand throughput isn’t supported."),
    ],
    [
      "a full context",
      "context_too_long",
      bedrockError(400, "ValidationException", "Input is too long for requested model."),
    ],
    ["ValidationException", "invalid_request", bedrockError(400, "ValidationException")],
    ["throttling in the stream", "rate_limited", inStream("bedrock", exception("throttlingException"))],
    ["overload in the stream", "overloaded", inStream("bedrock", exception("serviceUnavailableException"))],
    ["an internal error in the stream", "upstream_error", inStream("bedrock", exception("internalServerException"))],
    ["a model's error in the stream", "upstream_error", inStream("bedrock", exception("modelStreamErrorException"))],
    ["an invalid request in the stream", "invalid_request", inStream("bedrock", exception("validationException"))],
    [
      "an unreadable exception in the stream",
      "rate_limited",
      inStream("bedrock", exception("throttlingException", "{")),
    ],
    [
      "a malformed reply",
      "upstream_error",
      inStream("bedrock", frame("messageStop", { stopReason: "malformed_model_output" })),
    ],
  ],
};

function inStream(name: VipProvider, event: Uint8Array): Script {
  return stream(wireFormats[name].contentType, ...wireFormats[name].start, event);
}

function claudeEvent(type: string) {
  return claude({ type: "error", error: { type, message: WORDS } });
}

function fullContext() {
  return claude({ type: "message_delta", delta: { stop_reason: "model_context_window_exceeded" }, usage: {} });
}

function exception(type: string, payload: unknown = { message: WORDS }) {
  return frame(type, payload, "exception");
}

describe.each(Object.keys(rows) as VipProvider[])("%s", (name) => {
  it.each(rows[name])("converts %s to %s", async (_, reason, script) => {
    const failure = await failureOf(name, script);
    expect(failure.reason).toBe(reason);
    expect(failure.message).toMatch(new RegExp(`^${name}: `));
    const shown = `${failure.message} ${failure.stack} ${JSON.stringify(failure.cause)}`;
    for (const secret of [KEY, chat.messages[2]?.content, chat.system.persona]) expect(shown).not.toContain(secret);
  });
});

describe("Retry-After", () => {
  const errors: Record<VipProvider, (headers: Record<string, string>) => Script> = {
    anthropic: (headers) => claudeError(429, "rate_limit_error", WORDS, headers),
    openai: (headers) => openaiError(429, null, "requests", WORDS, headers),
    huggingface: (headers) => openaiError(429, null, "requests", WORDS, headers),
    bedrock: (headers) => bedrockError(429, "ThrottlingException", WORDS, headers),
  };
  const waitOf = async (name: VipProvider, headers: Record<string, string>) =>
    (await failureOf(name, errors[name](headers))).retryAfterMs;

  it.each(Object.keys(errors) as VipProvider[])("of %s can be seconds, an HTTP date or milliseconds", async (name) => {
    expect(await waitOf(name, { "retry-after": "3" })).toBe(3_000);
    expect(await waitOf(name, { "retry-after": "0.5" })).toBe(500);
    expect(await waitOf(name, { "retry-after": "3", "retry-after-ms": "250" })).toBe(250);
    const date = await waitOf(name, { "retry-after": new Date(Date.now() + 30_000).toUTCString() });
    expect(date).toBeGreaterThan(27_000);
    expect(date).toBeLessThanOrEqual(30_000);
    expect(await waitOf(name, { "retry-after": new Date(0).toUTCString() })).toBe(0);
    expect(await waitOf(name, { "retry-after": "soon" })).toBeUndefined();
    expect(await waitOf(name, {})).toBeUndefined();
  });
});

describe("a content filter", () => {
  const scripts: [VipProvider, string, Script][] = [
    ["openai", "before the stream", openaiError(400, "content_filter", "invalid_request_error")],
    ["openai", "in the stream", inStream("openai", sse({ error: { code: "content_filter", message: WORDS } }))],
    [
      "anthropic",
      "before the stream",
      claudeError(400, "invalid_request_error", "Output blocked by content filtering policy"),
    ],
  ];
  it.each(scripts)("of %s %s is reported as the finish reason filter", async (name, _, script) => {
    server.script = script;
    const provider = await createProvider(name, wireFormats[name].env(server.url));
    const reply = await readAll(provider.stream(chat, new AbortController().signal));
    expect(reply).toMatchObject({ texts: [], end: { finishReason: "filter" } });
  });
});

describe("provider settings", () => {
  const ask = async (name: VipProvider, env: Record<string, string>, readKey?: () => Promise<string>) =>
    readAll((await createProvider(name, env, readKey)).stream(chat, new AbortController().signal));

  it.each(Object.keys(rows) as VipProvider[])(
    "without a model make the requests of %s fail with the reason misconfigured",
    async (name) => {
      await expect(ask(name, {})).rejects.toMatchObject({
        reason: "misconfigured",
        message: `${name}: no model is configured`,
      });
    },
  );

  it("with a key that cannot be read make the request fail with the reason misconfigured", async () => {
    const env = wireFormats.openai.env(server.url);
    await expect(ask("openai", env, () => Promise.reject(new Error("no such parameter")))).rejects.toMatchObject({
      reason: "misconfigured",
      message: "openai: the API key cannot be read",
    });
  });

  it.each(["no url", "ftp://127.0.0.1/v1"])(
    "with the base URL %s make the request fail with the reason misconfigured",
    async (baseUrl) => {
      const env = { ...wireFormats.openai.env(server.url), OPENAI_BASE_URL: baseUrl };
      await expect(ask("openai", env)).rejects.toMatchObject({ reason: "misconfigured" });
    },
  );

  it("with a bare model id of Bedrock make a chat fail without a request", async () => {
    const before = server.requests.length;
    const env = { ...wireFormats.bedrock.env(server.url), BEDROCK_MODEL: "anthropic.claude-sonnet-5-5" };
    await expect(ask("bedrock", env)).rejects.toMatchObject({
      reason: "misconfigured",
      message: expect.stringContaining("inference profile"),
    });
    expect(server.requests.length).toBe(before);
  });

  it("with a new key apply to the next request", async () => {
    const env = wireFormats.anthropic.env(server.url);
    const keys = ["first-key", "second-key"];
    const provider = await createProvider("anthropic", env, async () => keys.shift() ?? "");
    server.script = claudeError(500, "api_error");
    const before = server.requests.length;
    for (const _ of [1, 2]) await readAll(provider.stream(chat, new AbortController().signal)).catch(() => {});
    const seen = server.requests.slice(before).map(({ headers }) => headers.authorization);
    expect(seen).toEqual(["Bearer first-key", "Bearer second-key"]);
  });
});

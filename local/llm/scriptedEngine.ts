import { setTimeout as sleep } from "node:timers/promises";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import * as z from "zod";
import { models } from "../../contract/plan";
import type { Events } from "../support/events";
import { type Listening, serve } from "../support/http";
import { mamaReply } from "./mamaReply";

/** Characters of one streamed piece. */
const PIECE_CHARS = 3;
/** Pause after each piece, so that a reader sees the text stream. */
const PIECE_PAUSE_MS = 5;

const ChatRequest = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
});

/**
 * Starts the scripted engine: an OpenAI-compatible server (`/health`, `/v1/models`, `/v1/chat/completions`) without a
 * model. It answers as 美砂樹ママ from a script and counts one character as one token.
 *
 * @throws PortInUseError
 */
export function startScriptedEngine({ port, events }: { port: number; events: Events }): Promise<Listening> {
  const app = new Hono();
  app.get("/health", (c) => c.body(null, 200));
  app.get("/v1/models", (c) =>
    c.json({
      object: "list",
      data: models.map((id) => ({ id, object: "model", created: 0, owned_by: "snack-misaki" })),
    }),
  );
  app.post("/v1/chat/completions", async (c) => {
    const parsed = ChatRequest.safeParse(await c.req.json().catch(() => undefined));
    if (!parsed.success) return c.json(openAiError(describe(parsed.error), "invalid_request_error"), 400);
    const request = parsed.data;
    if (!models.some((model) => model === request.model)) {
      const message = `The model \`${request.model}\` does not exist. Available models: ${models.join(", ")}.`;
      return c.json(openAiError(message, "invalid_request_error", "model_not_found"), 404);
    }

    const reply = replyTo(request);
    const about = {
      id: `chatcmpl-${crypto.randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
    };
    const finish_reason = reply.isCut ? "length" : "stop";
    events.emit({
      source: "engine",
      summary: `${request.model} sends a scripted reply of ${reply.chars.length} tokens`,
    });

    if (!request.stream) {
      await sleep((reply.chars.length / PIECE_CHARS) * PIECE_PAUSE_MS);
      const message = { role: "assistant", content: reply.chars.join("") };
      const choices = [{ index: 0, message, finish_reason }];
      return c.json({ ...about, object: "chat.completion", choices, usage: reply.usage });
    }

    return streamSSE(c, async (stream) => {
      const withUsage = request.stream_options?.include_usage === true;
      const send = (choices: unknown[], usage: unknown = null) => {
        const chunk = { ...about, object: "chat.completion.chunk", choices, ...(withUsage && { usage }) };
        return stream.writeSSE({ data: JSON.stringify(chunk) });
      };
      await send([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
      for (let at = 0; at < reply.chars.length && !stream.aborted; at += PIECE_CHARS) {
        const content = reply.chars.slice(at, at + PIECE_CHARS).join("");
        await send([{ index: 0, delta: { content }, finish_reason: null }]);
        await sleep(PIECE_PAUSE_MS);
      }
      await send([{ index: 0, delta: {}, finish_reason }]);
      if (withUsage) await send([], reply.usage);
      await stream.writeSSE({ data: "[DONE]" });
    });
  });
  app.notFound((c) => c.json(openAiError(`No route ${c.req.method} ${c.req.path}`, "invalid_request_error"), 404));
  return serve("scripted engine", port, app.fetch);
}

/** Returns the scripted reply and its usage. Shortens the reply to the request's token limit. */
function replyTo(request: z.infer<typeof ChatRequest>) {
  const message = request.messages.findLast(({ role }) => role === "user")?.content ?? "";
  const whole = Array.from(mamaReply(message));
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? whole.length;
  const chars = whole.slice(0, maxTokens);
  const prompt_tokens = request.messages.reduce((sum, { content }) => sum + Array.from(content).length, 0);
  return {
    chars,
    isCut: chars.length < whole.length,
    usage: { prompt_tokens, completion_tokens: chars.length, total_tokens: prompt_tokens + chars.length },
  };
}

/** Error body in the OpenAI format. */
function openAiError(message: string, type: string, code: string | null = null) {
  return { error: { message, type, param: null, code } };
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue?.path.length ? `${issue.path.join(".")}: ${issue.message}` : "The body must be a JSON object.";
}

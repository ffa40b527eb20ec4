import { type ApiError, type ErrorBody, errorCodes } from "../../../contract/errors";
import {
  type ChatCompletion,
  type ChatCompletionChunk,
  ChatCompletionRequest,
  type ModelCard,
  type ModelList,
  OpenAiJob,
} from "../../../contract/openai";
import { type WorkerFailure, WorkerInput, type WorkerOutput } from "../../../contract/worker";
import { type Dialect, parse, refuse } from "./inProcessDialect";

const CHAT = "/v1/chat/completions";
const MODELS = "/v1/models";
const finishReasons = { stop: "stop", length: "length", filter: "content_filter" } as const;

/** Whether a job's input came by the OpenAI route. */
export function isOpenAi(value: unknown): boolean {
  return typeof value === "object" && value !== null && ("openai_route" in value || "openai_input" in value);
}

/**
 * OpenAI's chat completions, translated: what `openai_route.py` does in `images/worker`.
 *
 * @param value the job's input
 */
export function openAiDialect(value: unknown, model: WorkerOutput["model"]): Dialect {
  const { openai_route: route = CHAT, openai_input } = OpenAiJob.parse(value);
  const body = withoutNulls(openai_input ?? {});
  const asked = body as Partial<ChatCompletionRequest>;
  const streams = asked.stream === true;
  const withUsage = () => asked.stream_options?.include_usage === true;
  const about = {
    id: `chatcmpl-${crypto.randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: model.name,
    system_fingerprint: model.version,
  };
  let begun = false;

  const event = (choices: ChatCompletionChunk["choices"], usage: ChatCompletion["usage"] | null = null) => {
    const chunk: ChatCompletionChunk = { ...about, object: "chat.completion.chunk", choices };
    return `data: ${JSON.stringify({ ...chunk, ...(withUsage() && { usage }) })}\n\n`;
  };
  const piece = (content: string) => {
    const delta = { ...(!begun && { role: "assistant" as const }), content };
    begun = true;
    return delta;
  };

  return {
    parse() {
      const card: ModelCard = {
        id: model.name,
        object: "model",
        created: 0,
        owned_by: "snack-misaki",
        version: model.version,
      };
      if (route === MODELS) return { answer: { object: "list", data: [card] } satisfies ModelList };
      if (route === `${MODELS}/${card.id}`) return { answer: card };
      if (route !== CHAT) refuse("openai_route", `must be one of ${CHAT}, ${MODELS}, ${MODELS}/${card.id}.`);
      const request = parse(ChatCompletionRequest, body, "openai_input");
      if (request.model !== card.id) refuse("openai_input.model", `must be ${card.id} here.`);
      return { input: parse(WorkerInput, translated(request), "input") };
    },

    delta: (text) => (streams ? event([choice(piece(text))]) : undefined),

    done({ text, finish_reason, usage: { prompt_tokens, completion_tokens } }) {
      const reason = finishReasons[finish_reason];
      const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
      if (streams) {
        const end = event([choice(begun ? {} : piece(""), reason)]);
        return `${end}${withUsage() ? event([], usage) : ""}data: [DONE]\n\n`;
      }
      const message = { role: "assistant", content: text, refusal: null } as const;
      const choices = [{ index: 0 as const, message, logprobs: null, finish_reason: reason }];
      return { ...about, object: "chat.completion", choices, usage } satisfies ChatCompletion;
    },

    failed(error) {
      const body = openAiError(error);
      return { items: streams ? [`data: ${JSON.stringify(body)}\n\n`] : [], body };
    },
  };
}

type Choice = ChatCompletionChunk["choices"][number];

function choice(delta: Choice["delta"], finish_reason: Choice["finish_reason"] = null): Choice {
  return { index: 0, delta, logprobs: null, finish_reason };
}

/** The same request in our own shape. */
function translated(request: ChatCompletionRequest): WorkerInput {
  const { temperature, top_p, seed, stream = false, ticket } = request;
  const messages = request.messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : content.map(({ text }) => text).join("\n"),
  }));
  const max_tokens = request.max_completion_tokens ?? request.max_tokens;
  return { messages, params: { max_tokens, temperature, top_p, seed }, stream, ticket };
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNulls(field)]));
}

/** OpenAI's error and the contract's in one, its field named as an OpenAI client knows it. */
function openAiError(error: ApiError): ErrorBody & WorkerFailure {
  const [named, param] = /^(?:openai_input|input)?\.?([^:\s]*): /.exec(error.message) ?? [];
  const text = named ? error.message.slice(named.length) : error.message;
  const message = named ? `${param || "body"}: ${text}` : text;
  return { error: { ...error.body.error, message, type: typeOf(errorCodes[error.code].status), param: param || null } };
}

function typeOf(status: number): NonNullable<WorkerFailure["error"]["type"]> {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

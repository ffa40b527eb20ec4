import { readFileSync } from "node:fs";
import type * as OpenAi from "../../../contract/openai";
import { Model, modelPlans } from "../../../contract/plan";
import type { StreamItem, WorkerOutput } from "../../../contract/worker";
import type { RunningWorker } from "./worker";

const pieces = ["あら、いらっしゃい。", "今は支度中で、", "決まったお返事しかできないの。", "ごめんなさいね。"];
const text = pieces.join("");
/** The canned worker reads no prompt. One character of the reply counts as one token. */
const usage = { prompt_tokens: 0, completion_tokens: text.length };

type ModelInfo = WorkerOutput["model"];
type Job = { id: string; input: Record<string, unknown> };

/**
 * Starts a worker for a machine without Python. It answers every job with the same reply, in the contract's shapes. It
 * calls no LLM engine, and does not even check the ticket. Like RunPod's SDK, it calls the job API over HTTP.
 *
 * @param env environment that RunPod gives a worker
 */
export function startCannedWorker(env: Record<string, string>): RunningWorker {
  const stopping = new AbortController();
  const request = async (variable: string, id = "", body?: object): Promise<unknown> => {
    const url = (env[variable] ?? "").replace("$RUNPOD_POD_ID", env.RUNPOD_POD_ID ?? "").replace("$ID", id);
    const response = await fetch(url, {
      headers: { authorization: env.RUNPOD_AI_API_KEY ?? "" },
      signal: stopping.signal,
      ...(body && { method: "POST", body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}`);
    return response.status === 204 ? undefined : response.json();
  };
  const answer = async ({ id, input }: Job, model: ModelInfo) => {
    const items = "openai_route" in input ? openAiItems(input, model) : ownItems(input, model);
    for (const output of items) await request("RUNPOD_WEBHOOK_POST_STREAM", id, { output });
    await request("RUNPOD_WEBHOOK_POST_OUTPUT", id, { output: items });
  };
  const work = async () => {
    const name = Model.parse(env.MODEL);
    const { version } = JSON.parse(readFileSync(env.MODEL_VERSION_FILE ?? "", "utf8"));
    const model: ModelInfo = { plan: modelPlans[name], name, version };
    for (;;) {
      const job = await request("RUNPOD_WEBHOOK_GET_JOB", env.RUNPOD_POD_ID);
      // If the report of a job fails, the queue's execution timeout ends the job.
      if (job !== undefined) void answer(job as Job, model).catch(() => undefined);
    }
  };
  const exited = work().catch((error) => (stopping.signal.aborted ? undefined : String(error)));
  const stop = async () => {
    stopping.abort();
    await exited;
  };
  return { exited, stop };
}

function ownItems({ stream }: Record<string, unknown>, model: ModelInfo): StreamItem[] {
  const timings = { ttft_ms: 0, total_ms: 0 };
  const done: StreamItem = { done: true, text, finish_reason: "stop", usage, model, timings };
  return stream === false ? [done] : [...pieces.map((delta) => ({ delta })), done];
}

function openAiItems({ openai_route: route, openai_input }: Record<string, unknown>, { name, version }: ModelInfo) {
  const card: OpenAi.ModelCard = { id: name, object: "model", created: 0, owned_by: "snack-misaki", version };
  if (route === "/v1/models") return [{ object: "list", data: [card] } satisfies OpenAi.ModelList];
  if (route !== "/v1/chat/completions") return [card];

  const { stream, stream_options } = (openai_input ?? {}) as Partial<OpenAi.ChatCompletionRequest>;
  const created = Math.floor(Date.now() / 1000);
  const about = { id: `chatcmpl-${crypto.randomUUID()}`, created, model: name, system_fingerprint: version };
  const total = { ...usage, total_tokens: usage.completion_tokens };
  const choice = { index: 0, logprobs: null } as const;
  if (!stream) {
    const message = { role: "assistant", content: text, refusal: null } as const;
    const choices = [{ ...choice, message, finish_reason: "stop" as const }];
    return [{ ...about, object: "chat.completion", choices, usage: total } satisfies OpenAi.ChatCompletion];
  }
  const withUsage = stream_options?.include_usage === true;
  const event = (
    choices: OpenAi.ChatCompletionChunk["choices"],
    tokens: OpenAi.ChatCompletionChunk["usage"] = null,
  ) => {
    const chunk: OpenAi.ChatCompletionChunk = { ...about, object: "chat.completion.chunk", choices };
    return `data: ${JSON.stringify({ ...chunk, ...(withUsage && { usage: tokens }) })}\n\n`;
  };
  const events = pieces.map((content, index) =>
    event([{ ...choice, delta: { ...(index === 0 && { role: "assistant" }), content }, finish_reason: null }]),
  );
  const end = event([{ ...choice, delta: {}, finish_reason: "stop" }]);
  return [...events, `${end}${withUsage ? event([], total) : ""}data: [DONE]\n\n`];
}

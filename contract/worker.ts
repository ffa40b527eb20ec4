import * as z from "zod/mini";
import { type ErrorCode, errorCodes } from "./errors";
import { Model } from "./plan";

/** Hard bounds of one job, whatever its ticket allows. */
export const workerBounds = { textChars: 2_000, messages: 40, maxTokens: 512 } as const;

const text = z.string().check(z.minLength(1), z.maxLength(workerBounds.textChars));

/** One turn of a conversation. There is no client `system`: the worker owns the persona. */
const Message = z.strictObject({ role: z.enum(["user", "assistant"]), content: text });

/** Sampling parameters a client may set; OpenAI gives them the same names. */
export const sampling = {
  max_tokens: z.optional(z.int().check(z.gte(1), z.lte(workerBounds.maxTokens))),
  temperature: z.optional(z.number().check(z.gte(0), z.lte(2))),
  top_p: z.optional(z.number().check(z.gt(0), z.lte(1))),
  seed: z.optional(z.int()),
};

/** `input` of a job: `text` or `messages`, not both. */
export const WorkerInput = z.strictObject({
  text: z.optional(text),
  messages: z.optional(z.array(Message).check(z.minLength(1), z.maxLength(workerBounds.messages))),
  params: z.optional(z.strictObject(sampling)),
  /** False asks for one answer without deltas. */
  stream: z.optional(z.boolean()),
  ticket: z.optional(z.string()),
  request_id: z.optional(z.string().check(z.maxLength(128))),
});
export type WorkerInput = z.infer<typeof WorkerInput>;

/** Result of a job. Fields are only ever added. */
export const WorkerOutput = z.object({
  text: z.string(),
  finish_reason: z.enum(["stop", "length", "filter"]),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), cached_tokens: z.optional(z.int()) }),
  /** `version` is read from the file baked beside the weights. */
  model: z.object({ plan: z.enum(["free", "paid"]), name: Model, version: z.string() }),
  timings: z.object({ ttft_ms: z.number(), total_ms: z.number() }),
});
export type WorkerOutput = z.infer<typeof WorkerOutput>;

/** A piece of a streamed reply. */
const StreamDelta = z.object({ delta: z.string() });

/** The last item of a stream: the whole result. */
const StreamDone = z.extend(WorkerOutput, { done: z.literal(true) });

/** An item of `GET <url>/stream/<id>`, inside RunPod's `{"output": …}`. */
export const StreamItem = z.union([StreamDelta, StreamDone]);
export type StreamItem = z.infer<typeof StreamItem>;

const codes = Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]];

/**
 * A failed job's `error`, as JSON text: RunPod carries an error as a string. A job of the OpenAI route has OpenAI's
 * `type` and `param` as well, so that one text is an error to both kinds of client.
 */
export const WorkerFailure = z.object({
  error: z.object({
    code: z.enum(codes),
    message: z.string(),
    retryable: z.boolean(),
    type: z.optional(
      z.enum(["invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"]),
    ),
    /** The field at fault. */
    param: z.optional(z.nullable(z.string())),
  }),
});
export type WorkerFailure = z.infer<typeof WorkerFailure>;

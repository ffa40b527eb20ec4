import * as z from "zod/mini";
import { type ErrorCode, errorCodes } from "./errors";
import { Model } from "./plan";

/**
 * Upper bounds of one job. A ticket cannot raise them. Before it parses a job, the worker also limits the job's bytes,
 * nesting and number of JSON values: see `job_reader.py`.
 */
export const workerBounds = { textChars: 2_000, messages: 40, parts: 8, maxTokens: 512 } as const;

const text = z.string().check(z.minLength(1), z.maxLength(workerBounds.textChars));

/** One message of a conversation. There is no `system` role: the worker adds the persona. */
const Message = z.strictObject({ role: z.enum(["user", "assistant"]), content: text });

/** Sampling parameters of a request. They have the same names as in OpenAI's API. */
export const sampling = {
  max_tokens: z.optional(z.int().check(z.gte(1), z.lte(workerBounds.maxTokens))),
  temperature: z.optional(z.number().check(z.gte(0), z.lte(2))),
  top_p: z.optional(z.number().check(z.gt(0), z.lte(1))),
  seed: z.optional(z.int()),
};

/** `input` of a job, with either `text` or `messages`. */
export const WorkerInput = z.strictObject({
  text: z.optional(text),
  messages: z.optional(z.array(Message).check(z.minLength(1), z.maxLength(workerBounds.messages))),
  params: z.optional(z.strictObject(sampling)),
  /** `false` requests the whole reply as one item, without deltas. */
  stream: z.optional(z.boolean()),
  ticket: z.optional(z.string()),
  request_id: z.optional(z.string().check(z.maxLength(128))),
});
export type WorkerInput = z.infer<typeof WorkerInput>;

/** Result of a job. Later versions may add fields, but they never remove or change a field. */
export const WorkerOutput = z.object({
  text: z.string(),
  finish_reason: z.enum(["stop", "length", "filter"]),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), cached_tokens: z.optional(z.int()) }),
  /** `version` comes from the version file in the worker image. */
  model: z.object({ plan: z.enum(["free", "paid"]), name: Model, version: z.string() }),
  timings: z.object({ ttft_ms: z.number(), total_ms: z.number() }),
});
export type WorkerOutput = z.infer<typeof WorkerOutput>;

/** The next piece of a streamed reply. */
const StreamDelta = z.object({ delta: z.string() });

/** Last item of a stream: the whole result. */
const StreamDone = z.extend(WorkerOutput, { done: z.literal(true) });

/** Item of `GET <url>/stream/<id>`. RunPod wraps it in `{"output": …}`. */
export const StreamItem = z.union([StreamDelta, StreamDone]);
export type StreamItem = z.infer<typeof StreamItem>;

const codes = Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]];

/**
 * Error of a failed job, sent as JSON text because RunPod stores a job's `error` as a string. The error of an OpenAI
 * request also has OpenAI's `type` and `param`, so that both kinds of client can read it.
 */
export const WorkerFailure = z.object({
  error: z.object({
    code: z.enum(codes),
    message: z.string(),
    retryable: z.boolean(),
    type: z.optional(
      z.enum(["invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"]),
    ),
    /** Name of the invalid field. */
    param: z.optional(z.nullable(z.string())),
  }),
});
export type WorkerFailure = z.infer<typeof WorkerFailure>;

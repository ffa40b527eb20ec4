import * as z from "zod/mini";
import type { ZodOpenApiPathsObject, ZodOpenApiResponsesObject } from "zod-openapi";
import { ApiError } from "../errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "../openai";
import { StreamItem, WorkerFailure, WorkerInput } from "../worker";
import { completion, completionChunk, completionRequest, jobId, lastItem, modelCard, workerInput } from "./examples";
import { errors, json, ok, runpod, toExamples } from "./responses";

const servers = [
  {
    url: "https://api.runpod.ai/v2/{endpoint}",
    description: "`inference.url` of a session of kind `runpod`",
    variables: { endpoint: { default: "endpoint" } },
  },
];

const JobStatus = z.enum(["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]);

/** Body of `POST /run`. `policy` contains time limits of the job in milliseconds. */
const JobRequest = z.object({
  input: WorkerInput,
  policy: z.optional(
    z.object({
      executionTimeout: z.optional(z.int().check(z.gte(5_000), z.lte(604_800_000))),
      ttl: z.optional(z.int().check(z.gte(10_000), z.lte(604_800_000))),
      lowPriority: z.optional(z.boolean()),
    }),
  ),
});

const JobAnswer = z.object({ id: z.string(), status: JobStatus });

const failureText = z
  .string()
  .check(z.meta({ contentMediaType: "application/json", contentSchema: { $ref: "#/components/schemas/Error" } }));

const JobState = z.object({
  id: z.string(),
  status: JobStatus,
  output: z.optional(z.array(StreamItem)),
  /** JSON text of the worker's error, or RunPod's own text. */
  error: z.optional(failureText),
  /** Milliseconds in the queue. */
  delayTime: z.optional(z.int()),
  /** Milliseconds of the execution. */
  executionTime: z.optional(z.int()),
  retries: z.optional(z.int()),
  workerId: z.optional(z.string()),
});

const StreamAnswer = z.object({ status: JobStatus, stream: z.array(z.object({ output: StreamItem })) });

const jobParameter = {
  in: "path",
  name: "id",
  required: true,
  description: "Id of the job",
  schema: { type: "string" },
  example: jobId,
} as const;

/**
 * Answers of the OpenAI route in addition to RunPod's own answers: the worker's error, and Cloudflare's page after
 * about 100 s.
 */
const openAiFailures: ZodOpenApiResponsesObject = {
  "500": {
    description: "The job failed. The body is the worker's error",
    content: json(WorkerFailure, {
      ticket_missing: { error: { ...new ApiError("ticket_missing").body.error, type: "authentication_error" } },
    }),
  },
  "524": {
    description: "Cloudflare: no worker finished the job in time",
    content: { "text/html": { schema: z.string(), examples: toExamples({ page: "error code: 524" }) } },
  },
};

const tag = { tags: ["RunPod"] };

/** Inference without the relay: RunPod's job API and its OpenAI route, with the worker's requests and responses. */
export const runpodPaths: ZodOpenApiPathsObject = {
  "/run": {
    servers,
    post: {
      operationId: "runJob",
      ...tag,
      summary: "Queues a chat",
      requestBody: { required: true, content: json(JobRequest, { text: { input: workerInput } }) },
      responses: {
        ...ok(runpod, json(JobAnswer, { queued: { id: jobId, status: "IN_QUEUE" } }), "Queued"),
        ...errors(runpod, []),
      },
    },
  },
  "/stream/{id}": {
    servers,
    get: {
      operationId: "streamJob",
      ...tag,
      summary: "Returns the stream items since the previous call",
      parameters: [jobParameter],
      responses: {
        ...ok(
          runpod,
          json(StreamAnswer, {
            running: { status: "IN_PROGRESS", stream: [{ output: { delta: "あら、" } }] },
            completed: { status: "COMPLETED", stream: [{ output: lastItem }] },
          }),
          "Each item is returned once",
        ),
        ...errors(runpod, []),
      },
    },
  },
  "/status/{id}": {
    servers,
    get: {
      operationId: "readJob",
      ...tag,
      summary: "The whole chat; the error of a failed job is JSON text",
      parameters: [jobParameter],
      responses: {
        ...ok(
          runpod,
          json(JobState, {
            completed: { id: jobId, status: "COMPLETED", delayTime: 12, executionTime: 1_240, output: [lastItem] },
            failed: {
              id: jobId,
              status: "FAILED",
              error: JSON.stringify(new ApiError("ticket_expired").body),
              retries: 0,
            },
          }),
          "The job's current state",
        ),
        ...errors(runpod, []),
      },
    },
  },
  "/cancel/{id}": {
    servers,
    post: {
      operationId: "cancelJob",
      ...tag,
      summary: "Cancels a job",
      parameters: [jobParameter],
      responses: {
        ...ok(runpod, json(JobAnswer, { cancelled: { id: jobId, status: "CANCELLED" } }), "The job's current state"),
        ...errors(runpod, []),
      },
    },
  },
  "/openai/v1/chat/completions": {
    servers,
    post: {
      operationId: "createChatCompletion",
      ...tag,
      summary: "OpenAI's chat completions; the ticket is an extra field of the body",
      requestBody: { required: true, content: json(ChatCompletionRequest, { text: completionRequest }) },
      responses: {
        ...ok(
          runpod,
          {
            ...json(ChatCompletion, { reply: completion }),
            "text/event-stream": {
              // The last event of a failed job contains the error.
              schema: z.union([ChatCompletionChunk, WorkerFailure]),
              examples: toExamples({ first: completionChunk }),
            },
          },
          "The reply",
        ),
        ...errors(runpod, []),
        ...openAiFailures,
      },
    },
  },
  "/openai/v1/models": {
    servers,
    get: {
      operationId: "listModels",
      ...tag,
      summary: "The endpoint's only model",
      responses: {
        ...ok(runpod, json(ModelList, { mistral: { object: "list", data: [modelCard] } })),
        ...errors(runpod, []),
        ...openAiFailures,
      },
    },
  },
  "/openai/v1/models/{id}": {
    servers,
    get: {
      operationId: "readModel",
      ...tag,
      summary: "The model by its name",
      parameters: [{ ...jobParameter, description: "Name of the model", example: "mistral" }],
      responses: { ...ok(runpod, json(ModelCard, { mistral: modelCard })), ...errors(runpod, []), ...openAiFailures },
    },
  },
};

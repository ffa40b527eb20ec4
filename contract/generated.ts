import * as z from "zod/mini";
import { errorCodes } from "./errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "./openai";
import { openApi } from "./openapi";
import { StreamItem, WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

/** Where the Python worker finds its half of the contract. */
export const workersHalf = "images/worker/src/snack_worker/contract";

/** The files generated from the contract, by their path in the repository. A test compares them with what is committed. */
export function generatedFiles(): Record<string, string> {
  // As what a reader takes in: it ignores what it does not know, and only a strict object refuses it.
  const schema = (type: z.ZodMiniType) => z.toJSONSchema(type, { target: "draft-2020-12", io: "input" });
  const workers = {
    "errors.json": errorCodes,
    "error.schema.json": schema(WorkerFailure),
    "worker-input.schema.json": schema(WorkerInput),
    "worker-output.schema.json": schema(WorkerOutput),
    "stream-item.schema.json": schema(StreamItem),
    "chat-completion-request.schema.json": schema(ChatCompletionRequest),
    "chat-completion.schema.json": schema(ChatCompletion),
    "chat-completion-chunk.schema.json": schema(ChatCompletionChunk),
    "model-list.schema.json": schema(ModelList),
    "model.schema.json": schema(ModelCard),
  };
  const documents = [
    ["contract/openapi.json", openApi()] as const,
    ...Object.entries(workers).map(([name, document]) => [`${workersHalf}/${name}`, document] as const),
  ];
  return Object.fromEntries(documents.map(([path, document]) => [path, `${JSON.stringify(document, null, 2)}\n`]));
}

import * as z from "zod/mini";
import { errorCodes } from "./errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "./openai";
import { openApi } from "./openapi";
import { modelPlans } from "./plan";
import { StreamItem, WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

/** Folder of the generated JSON files that the Python worker reads. */
export const workerContractFolder = "images/worker/src/snack_worker/contract";

/** Text of every generated file, by its path in the repository. A test compares them with the committed files. */
export function generatedFiles(): Record<string, string> {
  // With `io: "input"`, only a strict object's schema rejects unknown fields. All other schemas ignore them.
  const schema = (type: z.ZodMiniType) => z.toJSONSchema(type, { target: "draft-2020-12", io: "input" });
  const workerFiles = {
    "errors.json": errorCodes,
    "models.json": modelPlans,
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
  const documents: Record<string, unknown> = { "contract/openapi.json": openApi() };
  for (const [name, document] of Object.entries(workerFiles)) documents[`${workerContractFolder}/${name}`] = document;
  return Object.fromEntries(
    Object.entries(documents).map(([path, document]) => [path, `${JSON.stringify(document, null, 2)}\n`]),
  );
}

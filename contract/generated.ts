import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod/mini";
import { errorCodes } from "./errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "./openai";
import { StreamItem, WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

/** Where the Python worker finds its half of the contract. */
export const generatedFolder = join(process.cwd(), "images/worker/src/snack_worker/contract");

/** The files generated from the contract, by name. A test compares them with what is committed. */
export function generatedFiles(): Record<string, string> {
  // As what a reader takes in: it ignores what it does not know, and only a strict object refuses it.
  const schema = (type: z.ZodMiniType) => z.toJSONSchema(type, { target: "draft-2020-12", io: "input" });
  const documents = {
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
  return Object.fromEntries(
    Object.entries(documents).map(([name, document]) => [name, `${JSON.stringify(document, null, 2)}\n`]),
  );
}

/** The files as they are committed. */
export function committedFiles(): Record<string, string> {
  return Object.fromEntries(
    Object.keys(generatedFiles()).map((name) => [name, readFileSync(join(generatedFolder, name), "utf8")]),
  );
}

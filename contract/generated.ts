import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod/mini";
import { errorCodes } from "./errors";
import { StreamItem, WorkerInput, WorkerOutput } from "./worker";

/** Where the Python worker finds its half of the contract. */
export const generatedFolder = join(process.cwd(), "images/worker/src/snack_worker/contract");

/** The files generated from the contract, by name. A test compares them with what is committed. */
export function generatedFiles(): Record<string, string> {
  const schema = (type: z.ZodMiniType) => z.toJSONSchema(type, { target: "draft-2020-12" });
  const documents = {
    "errors.json": errorCodes,
    "worker-input.schema.json": schema(WorkerInput),
    "worker-output.schema.json": schema(WorkerOutput),
    "stream-item.schema.json": schema(StreamItem),
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

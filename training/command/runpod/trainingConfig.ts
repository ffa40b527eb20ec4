import { readFileSync } from "node:fs";
import * as z from "zod";
import type { Model } from "../../../contract/plan";

/** Number of epochs in `images/<model>/training.json`. The Python package checks the whole file. */
export function epochsOf(model: Model): number {
  const file = `images/${model}/training.json`;
  return z.object({ epochs: z.number().positive() }).parse(JSON.parse(readFileSync(file, "utf8"))).epochs;
}

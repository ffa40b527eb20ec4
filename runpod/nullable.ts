import { z } from "zod";

/** A value for which RunPod may answer null, or nothing, when it was never set. */
export function orDefault<T>(type: z.ZodType<T>, fallback: T) {
  return type.nullish().transform((value) => value ?? fallback);
}

/** A text, empty when it was never set. */
export const text = orDefault(z.string(), "");

/** An optional text where RunPod answers null or an empty one alike. */
export const optionalText = z
  .string()
  .nullish()
  .transform((given) => given || undefined);

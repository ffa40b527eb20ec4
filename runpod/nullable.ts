import { z } from "zod";

/** A value with a default: RunPod returns null, or leaves the field out, when it was never set. */
export function nullable<T>(type: z.ZodType<T>, fallback: T) {
  return type.nullish().transform((value) => value ?? fallback);
}

/** A text. Default: empty. */
export const text = nullable(z.string(), "");

/** An optional text: null and an empty text become undefined. */
export const optionalText = z
  .string()
  .nullish()
  .transform((value) => value || undefined);

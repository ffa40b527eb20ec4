import { z } from "zod";

/** Schema of a value with a default. RunPod returns null, or omits the field, when the value was never set. */
export function nullable<T>(type: z.ZodType<T>, fallback: T) {
  return type.nullish().transform((value) => value ?? fallback);
}

/** Schema of a text. Default: empty. */
export const text = nullable(z.string(), "");

/** Schema of an optional text: null and an empty text become undefined. */
export const optionalText = z
  .string()
  .nullish()
  .transform((value) => value || undefined);

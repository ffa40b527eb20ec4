import { z } from "zod";

/** Stripe's message for an invalid number. */
export const INVALID_INTEGER = "Invalid integer";
/** An integer parameter. */
export const int = z
  .string()
  .regex(/^-?\d+$/, INVALID_INTEGER)
  .transform(Number);
/** A boolean parameter. */
export const bool = z.enum(["true", "false"]).transform((text) => text === "true");
/** Metadata; an empty value removes a key. */
export const metadata = z.union([
  z.literal("").transform(() => ({})),
  z.record(z.string().max(40), z.string().max(500)),
]);
/** Parameter of every call. */
export const expand = z.array(z.string()).optional();
/** A time, or a range of times. */
export const timeRange = z.union([
  int,
  z.strictObject({ gt: int.optional(), gte: int.optional(), lt: int.optional(), lte: int.optional() }),
]);
/** Parameters of every list call. */
export const paging = {
  limit: int
    .pipe(
      z
        .number()
        .min(1, "This value must be greater than or equal to 1")
        .max(100, "This value must be less than or equal to 100"),
    )
    .optional(),
  starting_after: z.string().optional(),
  ending_before: z.string().optional(),
  expand,
};

/** Whether a time is in a range. */
export function within(at: number, range: z.output<typeof timeRange> | undefined): boolean {
  if (range === undefined) return true;
  if (typeof range === "number") return at === range;
  const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = range;
  return at > gt && at >= gte && at < lt && at <= lte;
}

/** Merges metadata with changes. */
export function merged(
  before: Record<string, string>,
  changes: Record<string, string> | undefined,
): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== ""));
}

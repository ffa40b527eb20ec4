import { z } from "zod";
import { isObject } from "../../support/protocol/value";

/**
 * Filter policy on the members of a message: every member must have one of its values. Of SNS's operators, the local cloud
 * knows only `prefix` (https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html).
 */
export const FilterPolicy = z.record(
  z.string(),
  z.array(z.union([z.string(), z.strictObject({ prefix: z.string() })])).min(1),
);
export type FilterPolicy = z.infer<typeof FilterPolicy>;

/** Whether a message passes a policy. A text that is not JSON passes no policy. */
export function passes(policy: FilterPolicy, message: string): boolean {
  const body = parsed(message);
  return Object.entries(policy).every(([member, values]) => {
    const found = isObject(body) ? body[member] : undefined;
    if (typeof found !== "string") return false;
    return values.some((value) => (typeof value === "string" ? found === value : found.startsWith(value.prefix)));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

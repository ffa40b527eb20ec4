import * as z from "zod/mini";
import { ApiError } from "../../contract/errors";
import { createParameters } from "../lib/parameters";

const Secrets = z.object({ current: z.string(), previous: z.optional(z.nullable(z.string())) });

/**
 * A wrong signature may mean that the secret has just changed; so often at most that is looked into. Until then Stripe's
 * events are refused, and come again much later.
 */
const FRESH_MS = 2_000;

/**
 * The secrets that webhooks are signed with, newest first; two while one replaces the other.
 *
 * @param parameterName SSM parameter with `{"current": "whsec_…", "previous": …}`
 * @returns a reader; `fresh` asks for what is there now, at most every two seconds. It throws ApiError `unavailable` when
 * there is none: without a secret nothing is believed
 */
export function createWebhookSecrets(parameterName: string): (options?: { fresh: boolean }) => Promise<string[]> {
  const parameter = createParameters();
  return async (options) => {
    const { current, previous } = parse(await parameter(parameterName, options?.fresh ? FRESH_MS : undefined));
    return [current, ...(previous ? [previous] : [])];
  };

  /** What does not parse may be the bare secret, put there by hand: its text, which a parser would quote, goes nowhere. */
  function parse(text: string): z.infer<typeof Secrets> {
    try {
      return Secrets.parse(JSON.parse(text));
    } catch {
      const cause = `the parameter ${parameterName} is not {"current": …, "previous": …}`;
      throw new ApiError("unavailable", undefined, { cause });
    }
  }
}

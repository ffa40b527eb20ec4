import * as z from "zod/mini";
import { ApiError } from "../../contract/errors";
import { createParameters, RECHECK_MS } from "../lib/parameters";

const Secrets = z.object({ current: z.string(), previous: z.optional(z.nullable(z.string())) });

/**
 * Reads the webhook signing secrets, newest first. During a rotation there are two secrets.
 *
 * @param parameterName SSM parameter with `{"current": "whsec_…", "previous": …}`
 * @returns a reader. `fresh` is for a wrong signature, because the secret may have been rotated: it bypasses the cache,
 *   at most every two seconds. Without a secret, the reader throws ApiError `unavailable` and no event is accepted
 */
export function createWebhookSecrets(parameterName: string): (options?: { fresh: boolean }) => Promise<string[]> {
  const parameter = createParameters();
  return async (options) => {
    const { current, previous } = parse(await parameter(parameterName, options?.fresh ? RECHECK_MS : undefined));
    return [current, ...(previous ? [previous] : [])];
  };

  /**
   * A value that does not parse may be the bare secret, entered by hand. The parser's error would quote the secret, so
   * this function throws a different error.
   */
  function parse(text: string): z.infer<typeof Secrets> {
    try {
      return Secrets.parse(JSON.parse(text));
    } catch {
      const cause = `the parameter ${parameterName} is not {"current": …, "previous": …}`;
      throw new ApiError("unavailable", undefined, { cause });
    }
  }
}

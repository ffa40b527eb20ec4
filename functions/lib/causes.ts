/** Longest chain of causes in the log. */
const MAX_CAUSES = 5;

/**
 * Text of an error and of the errors that caused it, for the log only: `<name>: <message> <- <name>: <message>`. The
 * outermost error comes first.
 *
 * @param error any thrown value
 */
export function causesText(error: unknown): string {
  const texts: string[] = [];
  let next = error;
  while (next !== undefined && next !== null && texts.length < MAX_CAUSES) {
    texts.push(next instanceof Error ? `${next.name}: ${next.message}` : String(next));
    next = next instanceof Error ? next.cause : undefined;
  }
  return texts.join(" <- ");
}

/**
 * Wraps the handler of a function that a schedule invokes. Lambda logs only the message of an error, and the message of
 * an ApiError is for customers. So the wrapper also logs the causes. The line has no alarm code: each scheduled function has
 * an alarm on Lambda's metric of failed invocations, which also counts timeouts.
 */
export function logCauses<Args extends unknown[], Result>(
  handler: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    try {
      return await handler(...args);
    } catch (error) {
      console.error({ run: "failed", cause: causesText(error) });
      throw error;
    }
  };
}

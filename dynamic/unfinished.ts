import type { Properties } from "./fields";

/**
 * Error for a resource that exists but is not yet in the requested state. Pulumi's server for dynamic resources reads
 * the id and the properties from this error and stores the resource in the state. The next `up` calls `update`, even if
 * no input has changed.
 */
export class UnfinishedError extends Error {
  override readonly name = "UnfinishedError";
  readonly properties: Properties;
  readonly reasons: string[];

  /**
   * @param attempted properties that the resource should have after the operation
   * @param given properties as Pulumi passed them. They include `__provider`, which a later delete of the resource
   * needs
   */
  constructor(
    readonly id: string,
    attempted: Properties,
    { __provider }: Properties,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(reason);
    this.properties = { ...attempted, ...(__provider !== undefined && { __provider }) };
    this.reasons = [reason];
  }
}

/**
 * Runs a change of the resource `id`. If the change fails with an error whose `maybeDone` is true, the state records
 * the attempted properties. If the state kept the old properties, a revert of the program would show no diff.
 *
 * @throws UnfinishedError when the outcome is unknown; any other error unchanged
 */
export async function recordAttempt<T>(
  id: string,
  attempted: Properties,
  given: Properties,
  change: () => Promise<T>,
): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (error instanceof Error && "maybeDone" in error && error.maybeDone === true)
      throw new UnfinishedError(id, attempted, given, error);
    throw error;
  }
}

import type { Properties } from "../dynamic/fields";
import { RunpodError } from "./error";

/**
 * A resource that exists but is not yet what was asked for. Pulumi's server for dynamic resources sees the id and keeps the
 * resource with these properties in the state; the next `up` goes on with it, whatever the program says then.
 */
export class UnfinishedError extends Error {
  override readonly name = "UnfinishedError";
  readonly properties: Properties;
  readonly reasons: string[];

  /**
   * @param inputs what the resource was to become
   * @param given what Pulumi handed over: without its `__provider` the resource could not be deleted later
   */
  constructor(
    readonly id: string,
    inputs: Properties,
    { __provider }: Properties,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(reason);
    this.properties = { ...inputs, ...(__provider !== undefined && { __provider }) };
    this.reasons = [reason];
  }
}

/**
 * Runs a change of the resource `id`. When it fails and may have happened all the same, the state takes the new
 * properties: with the old ones, a program that goes back to them would find nothing to do.
 */
export async function changing<T>(
  id: string,
  inputs: Properties,
  given: Properties,
  change: () => Promise<T>,
): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (error instanceof RunpodError && error.maybeDone) throw new UnfinishedError(id, inputs, given, error);
    throw error;
  }
}

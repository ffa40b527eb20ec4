import { z } from "zod";
import { RunpodError, redact } from "./error";
import { isTransientStatus } from "./retry";

/** Fields of every call, through GraphQL or REST. */
export interface Call<T> {
  /** Name of the operation in error messages. */
  operation: string;
  /** Schema of the response. */
  response: z.ZodType<T>;
  /** Whether to retry the call when its response does not match the schema. Default false. */
  isRepeatedWhenInvalid?: boolean;
  /** Values in the request that must not appear in an error message. */
  secrets?: string[];
}

/**
 * Schema of the response to a save. It contains only the id, so an unexpected value in another field does not fail the
 * save.
 */
export const idOnly = z.object({ id: z.string() });

/**
 * Validates the response of a call.
 *
 * @throws RunpodError when the response does not match the schema. RunPod may still have executed the call
 */
export function parseResponse<T>({ operation, response, isRepeatedWhenInvalid = false }: Call<T>, data: unknown): T {
  const parsed = response.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new RunpodError(`Unexpected response from RunPod to ${operation}: ${z.prettifyError(parsed.error)}`, {
    transient: isRepeatedWhenInvalid,
    maybeDone: true,
  });
}

/** An error response. */
interface FailedAnswer {
  operation: string;
  status: number;
  /** RunPod's reason. */
  reason: string;
  /** Next step for the operator. Default: none. */
  todo?: string | undefined;
  retryAfterMs: number | undefined;
  /** Whether a retry may help. Default: depends on the HTTP status. */
  transient?: boolean;
}

/**
 * Creates the RunpodError for an error response.
 *
 * @param secrets values that must not appear in the message
 */
export function failedCall(answer: FailedAnswer, secrets: string[]): RunpodError {
  const { operation, status, reason, todo, retryAfterMs, transient = isTransientStatus(status) } = answer;
  const verb = transient ? "could not do" : "refused";
  const message = `RunPod ${verb} ${operation}: ${reason}${todo === undefined ? "" : `. ${todo}`}`;
  return new RunpodError(redact(message, secrets), {
    transient,
    retryAfterMs,
    // RunPod does not execute a throttled call.
    maybeDone: transient && status !== 429,
    isRefusal: !transient && todo === undefined,
    reason: redact(reason, secrets),
  });
}

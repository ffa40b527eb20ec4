import { ApiError } from "../../contract/errors";

/** Limits of one call to an AWS service: well inside the 30 s that API Gateway waits. */
export const awsClientLimits = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
} as const;

/**
 * Awaits a call to a service we depend on.
 *
 * @param name the service, for the log
 * @throws ApiError `unavailable` in place of whatever the call throws
 */
export async function dependency<T>(name: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new ApiError("unavailable", undefined, { cause: `${name}: ${reason}` });
  }
}

import { ApiError } from "../../contract/errors";
import { causesText } from "./causes";

/** Timeouts and attempts of one AWS call, well within API Gateway's 30 s. */
export const awsClientLimits = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
} as const;

/**
 * Awaits a call to a dependency.
 *
 * @param name the service's name, for the log
 * @throws ApiError `unavailable` instead of any error of the call
 */
export async function dependency<T>(name: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw new ApiError("unavailable", undefined, { cause: `${name}: ${causesText(error)}` });
  }
}

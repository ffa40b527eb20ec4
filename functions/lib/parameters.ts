import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import { awsClientLimits, dependency } from "./dependency";

/** Cache lifetime. A rotated secret takes effect within this time. */
const CACHE_MS = 5 * 60_000;

/**
 * Maximum age of a cached value after a service has rejected the value, because the stored value may be newer.
 * Parameter Store is read at most once in this time, even with many rejected requests.
 */
export const RECHECK_MS = 2_000;

/**
 * Maximum age of a cached value that this function only passes on to a client. Only the client learns when a service
 * rejects the value.
 */
export const PASSED_ON_MS = 30_000;

/**
 * Reads secrets from SSM Parameter Store.
 *
 * @returns a reader by parameter name, cached for five minutes unless `maxAgeMs` is smaller. It throws ApiError
 * `unavailable` when the parameter is missing or cannot be read
 */
export function createParameters(): (name: string, maxAgeMs?: number) => Promise<string> {
  const client = new SSMClient(awsClientLimits);
  const cache = new Map<string, { value: Promise<string>; readAt: number }>();
  const read = async (name: string) => {
    const { Parameters } = await client.send(new GetParametersCommand({ Names: [name], WithDecryption: true }));
    const value = Parameters?.[0]?.Value;
    if (value === undefined) throw new Error(`Parameter ${name} does not exist`);
    return value;
  };
  return (name, maxAgeMs = CACHE_MS) => {
    const known = cache.get(name);
    if (known && Date.now() - known.readAt < maxAgeMs) return known.value;
    const value = dependency("parameter store", read(name));
    const reading = { value, readAt: Date.now() };
    cache.set(name, reading);
    value.catch(() => {
      if (cache.get(name) !== reading) return;
      // When a refresh fails, the earlier value stays in the cache.
      if (known) cache.set(name, known);
      else cache.delete(name);
    });
    return value;
  };
}

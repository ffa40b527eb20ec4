import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import { awsClientLimits, dependency } from "./dependency";

/** How long a value is used before it is read again: a rotated secret arrives within this time. */
const CACHE_MS = 5 * 60_000;

/**
 * Secrets in SSM Parameter Store, by name.
 *
 * @returns a reader with a cache, of five minutes unless asked for something fresher; it throws ApiError `unavailable`
 * when the parameter cannot be read or is missing
 */
export function createParameters(): (name: string, maxAgeMs?: number) => Promise<string> {
  const client = new SSMClient(awsClientLimits);
  const cache = new Map<string, { value: Promise<string>; readAt: number }>();
  const read = async (name: string) => {
    const { Parameters } = await client.send(new GetParametersCommand({ Names: [name], WithDecryption: true }));
    const value = Parameters?.[0]?.Value;
    if (value === undefined) throw new Error(`there is no parameter ${name}`);
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
      // What was good before the attempt to have it fresher still is.
      if (known) cache.set(name, known);
      else cache.delete(name);
    });
    return value;
  };
}

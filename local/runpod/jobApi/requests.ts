import type { Context, MiddlewareHandler } from "hono";
import { isFinal, type Job, type JobPolicy } from "../jobs/jobQueue";
import type { EndpointRuntime } from "./endpoints";
import type { LimitedOperation } from "./rateLimits";

export const MIB = 2 ** 20;
export const DEFAULT_SYNC_WAIT_MS = 90_000;
/** RunPod's maximum of `executionTimeout`: 7 days. */
export const MAX_EXECUTION_MS = 604_800_000;
const DEFAULT_TTL_MS = 86_400_000;

/** Context of a request after authentication. */
export type Env = { Variables: { endpoint: EndpointRuntime } };

/** Middlewares that limit a route. */
export interface RouteLimits {
  /** Answers 429 when the endpoint has too many requests of this operation. */
  rate(operation: LimitedOperation): MiddlewareHandler<Env>;
  /** Answers 400 for a larger body. */
  bodySize(mib: number): MiddlewareHandler<Env>;
}

/**
 * JSON body of a request. RunPod passes any JSON value on to the worker.
 *
 * @returns undefined if the body is not JSON, or if the nesting is too deep for JSON.stringify (some thousand levels).
 * RunPod does not document a limit for levels
 */
export async function readJson(c: Context<Env>): Promise<unknown> {
  try {
    const body: unknown = await c.req.json();
    JSON.stringify(body);
    return body;
  } catch {
    return undefined;
  }
}

/** Policy of a job. Each value comes from the request, from the endpoint or from RunPod's defaults, in this order. */
export function policyOf(
  c: Context<Env>,
  requested: { [K in keyof JobPolicy]?: JobPolicy[K] | undefined } = {},
): JobPolicy {
  return {
    // 0 means that the endpoint sets no limit.
    executionTimeout: requested.executionTimeout ?? (c.get("endpoint").executionTimeoutMs || MAX_EXECUTION_MS),
    ttl: requested.ttl ?? DEFAULT_TTL_MS,
    lowPriority: requested.lowPriority ?? false,
  };
}

/** Waits until the job or the client's `?wait=` time ends. Returns the job's latest state. */
export async function waitForEnd(c: Context<Env>, job: Job): Promise<Job> {
  const { queue } = c.get("endpoint");
  const readEnded = () => {
    const latest = queue.get(job.id) ?? job;
    return isFinal(latest.status) ? latest : undefined;
  };
  const ended = await queue.changed.waitFor(readEnded, waitMs(c, DEFAULT_SYNC_WAIT_MS), c.req.raw.signal);
  return ended ?? queue.get(job.id) ?? job;
}

/** `?wait=` in milliseconds, limited to RunPod's range. */
export function waitMs(c: Context<Env>, defaultMs: number): number {
  const requested = Number(c.req.query("wait") ?? Number.NaN);
  return Number.isFinite(requested) ? Math.min(Math.max(requested, 1_000), 300_000) : defaultMs;
}

import type { MetricName } from "./metrics";

/** State of one endpoint, as RunPod's job API returns it. */
export interface EndpointHealth {
  jobs: { inQueue: number; failed: number };
  workers: Record<"idle" | "initializing" | "running" | "throttled" | "unhealthy" | "ready", number>;
}

/**
 * Computes the metrics of an endpoint's health and state.
 *
 * - A crash loop: RunPod counts workers that crash as `unhealthy`.
 * - Scarcity: RunPod counts workers that wait for a GPU as `throttled`.
 * - No capacity: RunPod has no worker in any state.
 *
 * @param failedBefore `jobs.failed` of the previous call. Undefined for the first call, which publishes no failures
 */
export function healthMetrics(
  { jobs, workers }: EndpointHealth,
  failedBefore: number | undefined,
): Partial<Record<MetricName, number>> {
  const isWaiting = jobs.inQueue > 0;
  const hasWorker = Object.values(workers).some((count) => count > 0);
  return {
    QueueDepth: jobs.inQueue,
    // RunPod may reset its count to 0.
    ...(failedBefore !== undefined && { JobsFailed: Math.max(0, jobs.failed - failedBefore) }),
    WorkersRunning: workers.running,
    WorkersIdle: workers.idle,
    WorkersInitializing: workers.initializing,
    WorkersUnhealthy: workers.unhealthy,
    CrashLoop: Number(workers.unhealthy > 0 && isWaiting),
    Scarcity: Number(workers.throttled > 0 && isWaiting),
    NoCapacity: Number(!hasWorker && isWaiting),
  };
}

import type { MetricName } from "./metrics";

/** Numbers of one endpoint, as RunPod's job API returns them. */
export interface EndpointHealth {
  jobs: { inQueue: number; failed: number };
  workers: Record<"idle" | "initializing" | "running" | "throttled" | "unhealthy" | "ready", number>;
}

/**
 * Metrics of an endpoint's health, with the states that follow from it. RunPod names no states: workers that crash are
 * `unhealthy`, workers that wait for a GPU are `throttled`, and without capacity there is no worker at all.
 *
 * @param failedBefore `jobs.failed` of the last look. Undefined for the first look, which publishes no failures
 */
export function healthMetrics(
  { jobs, workers }: EndpointHealth,
  failedBefore: number | undefined,
): Partial<Record<MetricName, number>> {
  const isWaiting = jobs.inQueue > 0;
  const hasWorker = Object.values(workers).some((count) => count > 0);
  return {
    QueueDepth: jobs.inQueue,
    // RunPod may start to count again from 0.
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

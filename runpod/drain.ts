import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointRecord } from "./client";
import type { Polling } from "./retry";
import type { WorkerMonitor } from "./workers";

/**
 * Waits until an endpoint's workers run no job, because a delete cuts the replies that they write. Logs progress to
 * stdout, which Pulumi shows. Does not wait for queued jobs, which a caller can send to another endpoint.
 *
 * @param polling interval and limit of the checks. With limit 0, the function does not wait. When the limit is over, or
 * when RunPod does not return the number of jobs, the function returns
 */
export async function waitForJobs(
  monitor: WorkerMonitor,
  { intervalMs, limitMs }: Polling,
  { id, name }: Pick<EndpointRecord, "id" | "name">,
): Promise<void> {
  let shown: number | undefined;
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += intervalMs) {
    const running = await monitor.getRunningJobs(id);
    if (!running) return;
    if (running !== shown)
      console.log(`RunPod endpoint ${name}: waits before its delete, because jobs run (${running}).`);
    shown = running;
    await sleep(intervalMs);
  }
  if (shown !== undefined)
    console.log(`RunPod endpoint ${name}: jobs still run after ${limitMs / 1_000} s. The delete ends them.`);
}

import * as z from "zod/mini";
import { callJson } from "../../runpod/http";
import type { CanaryState } from "../core/canary/state";
import { KEEP_ALIVE_SECONDS, type KeepAliveJob, sendKeepAlive } from "../lib/keepAliveJob";

const JobStatus = z.object({ status: z.string() });

/** Result of `warmUp`: the job of the state, and whether a worker has answered one. */
interface WarmUp {
  job: CanaryState["job"];
  isReady: boolean;
}

/**
 * Sends a job to a new candidate, and checks in the following minutes whether a worker has answered the job. If the job
 * ended without an answer, sends another job. A candidate that has answered gets a keep-alive job every 48 hours.
 *
 * @throws Error when RunPod does not accept the job. A failed read of a job's status throws nothing
 */
export async function warmUp({ job, isReady }: WarmUp, wanted: KeepAliveJob, now: Date): Promise<WarmUp> {
  const send = async () => ({ id: await sendKeepAlive(wanted, now), sentAt: now.toISOString() });
  if (!job) return { job: await send(), isReady };
  if (isReady) {
    const isDue = now.getTime() - Date.parse(job.sentAt) >= KEEP_ALIVE_SECONDS * 1_000;
    return { job: isDue ? await send() : job, isReady };
  }
  const status = await statusOf(job.id, wanted);
  if (status === "COMPLETED") return { job, isReady: true };
  const isOver = ["FAILED", "CANCELLED", "TIMED_OUT", "GONE"].includes(status);
  return { job: isOver ? await send() : job, isReady };
}

/** RunPod's status of a job. `GONE` when RunPod no longer knows the job, and `UNKNOWN` when it does not answer. */
async function statusOf(id: string, { url, endpoint, apiKey, timeoutMs }: KeepAliveJob): Promise<string> {
  const path = `${encodeURIComponent(endpoint)}/status/${encodeURIComponent(id)}`;
  const call = {
    operation: "status",
    method: "GET",
    url: `${url.replace(/\/+$/, "")}/${path}`,
    apiKey,
    timeoutMs,
  } as const;
  const answer = await callJson(call).catch(() => undefined);
  if (answer?.status === 404) return "GONE";
  return (answer?.status === 200 && JobStatus.safeParse(answer.body).data?.status) || "UNKNOWN";
}

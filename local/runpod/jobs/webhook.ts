import { setTimeout as sleep } from "node:timers/promises";
import type { Events } from "../../support/events";
import { type Job, jobView } from "./jobQueue";

/** RunPod calls a webhook up to three times. */
const ATTEMPTS = 3;
const TIMEOUT_MS = 10_000;

/**
 * POSTs a finished job to its webhook. Retries until the webhook responds with status 200.
 *
 * @param options.retryDelayMs pause between two attempts
 * @param options.closing aborts the current call and the retries
 */
export async function sendWebhook(
  url: string,
  job: Job,
  { events, retryDelayMs, closing }: { events: Events; retryDelayMs: number; closing: AbortSignal },
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS && !closing.aborted; attempt++) {
    const status = await post(url, { ...jobView(job), input: job.input, webhook: url }, closing);
    events.emit({ source: "runpod", summary: `webhook of job ${job.id.slice(0, 13)} → ${status}` });
    if (status === 200) return;
    if (attempt < ATTEMPTS) await sleep(retryDelayMs, undefined, { signal: closing }).catch(() => undefined);
  }
}

async function post(url: string, body: unknown, closing: AbortSignal): Promise<number | "no answer"> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([closing, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return "no answer";
  }
}

import type { WorkerSpec } from "./workers";

/**
 * The environment of a worker: its template's, and over it what RunPod adds (runpod-python 1.12 reads these names and
 * replaces `$ID` and `$RUNPOD_POD_ID` itself) and what the image has built in.
 *
 * @param place.jobApiUrl where the workers find the job API
 * @param place.engineUrl OpenAI-compatible base URL, with `/v1`
 * @param place.versionFile stands for the file baked beside the weights
 */
export function workerEnvironment(
  { workerId, endpoint, template }: WorkerSpec,
  place: { jobApiUrl: string; engineUrl: string; versionFile: string },
): Record<string, string> {
  const base = `${place.jobApiUrl}/${endpoint.id}`;
  return {
    ...Object.fromEntries(template.env.map(({ key, value }) => [key, value])),
    ENGINE_BASE_URL: place.engineUrl,
    MODEL_VERSION_FILE: place.versionFile,
    RUNPOD_POD_ID: workerId,
    RUNPOD_POD_HOSTNAME: `${workerId}-local`,
    RUNPOD_ENDPOINT_ID: endpoint.id,
    RUNPOD_AI_API_KEY: endpoint.aiKey,
    // The SDK appends to the query, so each needs one.
    RUNPOD_WEBHOOK_GET_JOB: `${base}/job-take/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/job-done/$RUNPOD_POD_ID/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_POST_STREAM: `${base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_PING: `${base}/ping/$RUNPOD_POD_ID`,
    RUNPOD_PING_INTERVAL: "10000",
    // There is no GPU to be fit.
    RUNPOD_SKIP_AUTO_SYSTEM_CHECKS: "true",
    RUNPOD_SKIP_GPU_CHECK: "true",
    // At its default the SDK logs every job's input.
    RUNPOD_DEBUG_LEVEL: "INFO",
  };
}

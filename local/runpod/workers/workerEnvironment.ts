import type { Template } from "../account/records";

/** Who a worker is to RunPod. */
export interface WorkerIdentity {
  workerId: string;
  endpointId: string;
  /** The key it presents. Secret. */
  aiKey: string;
}

/**
 * What RunPod adds to every worker's environment (runpod-python 1.12 reads these names, most of them while it is
 * imported, and replaces `$ID` and `$RUNPOD_POD_ID` itself).
 *
 * @param jobApiUrl where the workers find the job API
 */
export function platformEnvironment(
  { workerId, endpointId, aiKey }: WorkerIdentity,
  jobApiUrl: string,
): Record<string, string> {
  const base = `${jobApiUrl}/${endpointId}`;
  return {
    RUNPOD_POD_ID: workerId,
    RUNPOD_POD_HOSTNAME: `${workerId}-local`,
    RUNPOD_ENDPOINT_ID: endpointId,
    RUNPOD_AI_API_KEY: aiKey,
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

/**
 * What an image's own variables add up to: its template's, and over them those it has built in.
 *
 * @param place.engineUrl OpenAI-compatible base URL, with `/v1`
 * @param place.versionFile stands for the file baked beside the weights
 */
export function imageEnvironment(
  { env }: Template,
  place: { engineUrl: string; versionFile: string },
): Record<string, string> {
  return {
    ...Object.fromEntries(env.map(({ key, value }) => [key, value])),
    ENGINE_BASE_URL: place.engineUrl,
    MODEL_VERSION_FILE: place.versionFile,
  };
}

import type { Template } from "../account/records";

/** Ids and key of a worker. */
export interface WorkerIdentity {
  workerId: string;
  endpointId: string;
  /** Key for the job API. Secret. */
  aiKey: string;
}

/**
 * Variables that RunPod adds to every worker's environment. runpod-python 1.12 reads most of these variables at import,
 * and replaces `$ID` and `$RUNPOD_POD_ID` in their values.
 *
 * @param jobApiUrl URL of the job API for workers
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
    // The URL has a query, because the SDK appends `&…`.
    RUNPOD_WEBHOOK_GET_JOB: `${base}/job-take/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/job-done/$RUNPOD_POD_ID/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_POST_STREAM: `${base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=LOCAL`,
    RUNPOD_WEBHOOK_PING: `${base}/ping/$RUNPOD_POD_ID`,
    RUNPOD_PING_INTERVAL: "10000",
    // The worker needs no GPU on this machine.
    RUNPOD_SKIP_AUTO_SYSTEM_CHECKS: "true",
    RUNPOD_SKIP_GPU_CHECK: "true",
    // The SDK's default level logs the input of every job.
    RUNPOD_DEBUG_LEVEL: "INFO",
  };
}

/**
 * Variables of the template for a worker. References to secrets become values, and some variables get values for this
 * machine.
 *
 * @param local.engineUrl OpenAI-compatible base URL, with `/v1`
 * @param local.versionFile file that the worker reads instead of the version file in the image
 * @param local.resolve replaces the references to secrets in a text
 */
export function imageEnvironment(
  { env }: Template,
  local: { engineUrl: string; versionFile: string; resolve: (text: string) => string },
): Record<string, string> {
  return {
    ...Object.fromEntries(env.map(({ key, value }) => [key, local.resolve(value)])),
    ENGINE_BASE_URL: local.engineUrl,
    MODEL_VERSION_FILE: local.versionFile,
  };
}

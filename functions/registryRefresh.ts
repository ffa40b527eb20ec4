import { ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { graphqlClient } from "../runpod/graphql";
import { awsClientLimits } from "./lib/dependency";
import { createParameters } from "./lib/parameters";

/** Settings of the refresh. Names and URLs only: no secret. */
export interface Settings {
  /** RunPod's control plane, without `/graphql`. */
  runpodApiUrl: string;
  /** SSM parameter with the account's RunPod key. */
  runpodKeyParameter: string;
  /** RunPod's id of the credentials that workers pull images with. */
  registryAuthId: string;
  /** SSM parameter that says when the token RunPod has dies: RunPod itself tells nothing about its age. */
  expiryParameter: string;
}

/** One call to RunPod; four of them, and the waits between, end well before Lambda ends the function. */
const RUNPOD_TIMEOUT_MS = 8_000;

/**
 * Runs by a schedule: a token of Amazon ECR dies after twelve hours, so RunPod gets a new one under the same id long
 * before. A run that fails counts as failed for Lambda, which tries twice more, and for the alarm on its errors.
 */
export function create(settings: Settings): () => Promise<{ expiresAt: string }> {
  const ecr = new ECRClient(awsClientLimits);
  const parameter = createParameters();
  const ssm = new SSMClient(awsClientLimits);

  return async () => {
    // Every time the key of now: the refresh is rare, and a rotated key must not wait for the next one.
    const apiKey = await parameter(settings.runpodKeyParameter, 0);
    const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
    const [{ authorizationToken = "", expiresAt } = {}] = authorizationData ?? [];
    const [username, password] = Buffer.from(authorizationToken, "base64").toString().split(/:(.*)/s);
    if (!username || !password) throw new Error("ECR gave no authorization token");

    const runpod = graphqlClient({ apiKey, url: settings.runpodApiUrl, timeoutMs: RUNPOD_TIMEOUT_MS });
    await runpod.updateRegistryAuth(settings.registryAuthId, { username, password });
    const refreshed = { expiresAt: expiresAt?.toISOString() ?? "unknown" };
    await ssm.send(
      new PutParameterCommand({ Name: settings.expiryParameter, Value: refreshed.expiresAt, Overwrite: true }),
    );
    console.log({ registryRefreshed: refreshed });
    return refreshed;
  };
}

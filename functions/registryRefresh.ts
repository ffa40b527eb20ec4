import { setTimeout } from "node:timers/promises";
import { ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { type Api, apis } from "../runpod/apis";
import { causesText, logCauses } from "./lib/causes";
import { awsClientLimits, dependency } from "./lib/dependency";
import { createParameters } from "./lib/parameters";

/** Settings of the refresh: names and URLs, never a secret. */
export interface Settings {
  /** RunPod's API that the function uses. */
  runpodApi: Api;
  /** Base URL of RunPod's control plane, without `/graphql`. */
  runpodApiUrl: string;
  /** SSM parameter with the account's RunPod key. */
  runpodKeyParameter: string;
  /** RunPod's id of the credentials used to pull images. */
  registryAuthId: string;
  /** SSM parameter that stores when the registry token expires. RunPod does not return that time. */
  expiryParameter: string;
}

/** Timeout of one call to RunPod. All attempts with their waits fit into the function's timeout. */
const RUNPOD_TIMEOUT_MS = 8_000;

/**
 * AWS needs some seconds to apply a new role's policy in every service, and the first run starts right after the role
 * is created.
 */
const POLICY_ATTEMPTS = 6;
const POLICY_DELAY_MS = 4_000;

/** Repeats a call of an AWS service while AWS denies it. */
async function whenAllowed<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const isDenied = causesText(error).includes("AccessDeniedException");
      if (!isDenied || attempt === POLICY_ATTEMPTS) throw error;
      await setTimeout(POLICY_DELAY_MS * (0.75 + Math.random() / 2));
    }
  }
}

/**
 * Runs on a schedule and gives RunPod a new Amazon ECR token under the same credentials id. An ECR token expires after
 * twelve hours. A failed run counts in Lambda's error metric, which has an alarm. Lambda retries a failed run twice.
 */
export function create(settings: Settings): () => Promise<{ expiresAt: string }> {
  const ecr = new ECRClient(awsClientLimits);
  const parameter = createParameters();
  const ssm = new SSMClient(awsClientLimits);

  return logCauses(async () => {
    const { authorizationData } = await dependency(
      "ECR",
      whenAllowed(() => ecr.send(new GetAuthorizationTokenCommand({}))),
    );
    // Not cached: the refresh is rare, and a rotated key must take effect in this run.
    const apiKey = await whenAllowed(() => parameter(settings.runpodKeyParameter, 0));
    const [{ authorizationToken = "", expiresAt } = {}] = authorizationData ?? [];
    const [username, password] = Buffer.from(authorizationToken, "base64").toString().split(/:(.*)/s);
    if (!username || !password) throw new Error("ECR returned no authorization token");

    const runpod = apis[settings.runpodApi]({ apiKey, url: settings.runpodApiUrl, timeoutMs: RUNPOD_TIMEOUT_MS });
    await runpod.updateRegistryAuth(settings.registryAuthId, { username, password });
    const refreshed = { expiresAt: expiresAt?.toISOString() ?? "unknown" };
    const remember = { Name: settings.expiryParameter, Value: refreshed.expiresAt, Overwrite: true };
    await whenAllowed(() => ssm.send(new PutParameterCommand(remember)));
    console.log({ registryRefreshed: refreshed });
    return refreshed;
  });
}

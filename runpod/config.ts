import * as z from "zod";
import { milliseconds, secureUrl } from "../dynamic/config";

/** The stack's configuration keys of the RunPod provider; all are optional. The key `runpodApiKey` is a secret. */
export const RunpodConfig = z.object({
  runpodApi: z
    .enum(["auto", "graphql", "rest"])
    .default("auto")
    .describe(
      "RunPod's API that the program uses. auto: GraphQL until RunPod ends it (announced for early 2027), then REST v2 with " +
        "the same resources. REST v2 cannot keep models in the hosts' cache.",
    ),
  runpodApiUrl: secureUrl
    .default("https://api.runpod.io")
    .describe("Base URL of RunPod's control plane, for both APIs."),
  runpodJobApiUrl: secureUrl
    .default("https://api.runpod.ai/v2")
    .describe("Base URL of RunPod's job API. Frontends send their jobs to it."),
  runpodWorkerQuota: z
    .int("must be a whole number of workers, at least 1")
    .min(1, "must be a whole number of workers, at least 1")
    .optional()
    .describe(
      "Maximum number of workers over all endpoints of the RunPod account, as RunPod's console shows it. If it is set, " +
        "the program rejects more workers before it calls RunPod; otherwise RunPod refuses them.",
    ),
  runpodRolloutIntervalMs: milliseconds(1)
    .default(5_000)
    .describe("Interval at which an update checks whether the workers run the new version."),
  runpodRolloutLimitMs: milliseconds(0)
    .default(900_000)
    .describe(
      "Longest time an update waits for the workers to run the new version, and a delete of an endpoint for its running jobs. 0 " +
        "does not wait.",
    ),
  runpodImageLookupMs: milliseconds(0)
    .default(5_000)
    .describe("Time limit for reading the image's platforms and size from its registry. 0 skips this check."),
  runpodRetryIntervalMs: milliseconds(1)
    .default(500)
    .describe("Wait before the second attempt of a call to RunPod. Each further wait is twice as long, up to 30 s."),
  runpodRetryLimitMs: milliseconds(0)
    .default(300_000)
    .describe(
      "Time limit for retries of a call that fails or that RunPod throttles. A longer Retry-After fails the call at once.",
    ),
  runpodSettleLimitMs: milliseconds(0)
    .default(8_000)
    .describe(
      "Longest delay with which RunPod's lists may show a change. After a create without a response, the program looks " +
        "for the resource during this time before it repeats the create.",
    ),
  runpodInUseIntervalMs: milliseconds(1)
    .default(10_000)
    .describe("Interval at which a delete retries while RunPod still counts the template as in use."),
  runpodInUseLimitMs: milliseconds(1)
    .default(300_000)
    .describe("Longest time a delete waits. RunPod counts a template as in use for two minutes after its last use."),
});

/** Configuration keys of the RunPod provider with secret values. Maps each key to its description. */
export const runpodSecrets = {
  runpodApiKey: "API key of the RunPod account with all permissions. The program uses it; browsers never get it.",
} as const;

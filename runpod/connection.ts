import type { dynamic } from "@pulumi/pulumi";
import { type Api, apis } from "./apis";
import type { RunpodClient } from "./client";
import { type FleetWatch, fleetWatch } from "./fleet";
import { setFirstWait, type Wait } from "./retry";

/** What the provider's methods work with. */
export interface Connection {
  api: Api;
  client: RunpodClient;
  watch: FleetWatch;
  /** How long a delete waits for RunPod to let go. */
  inUse: Wait;
  /** How long an update waits for the workers to run it; a limit of 0 is not at all. */
  rollout: Wait;
  /** How many milliseconds an image's registry has to answer before nothing is said of it; 0 is not asked. */
  imageLookupMs: number;
  /** Most workers the account may have over all endpoints, where the operator has said so. */
  workerQuota: number | undefined;
}

let current: Connection | undefined;

/**
 * Reads the stack's configuration, all of it optional but the key:
 *
 * | key | default | |
 * |---|---|---|
 * | `runpodApiKey` | | secret, required |
 * | `runpodApi` | `graphql` | or `rest`: RunPod ends GraphQL in early 2027 |
 * | `runpodApiUrl` | https://api.runpod.io | the control plane, for both |
 * | `runpodJobApiUrl` | https://api.runpod.ai/v2 | tells how the workers are where REST cannot |
 * | `runpodRetryIntervalMs` | 500 | the wait before a second attempt; each further one is twice as long |
 * | `runpodInUseIntervalMs`, `runpodInUseLimitMs` | 10000, 300000 | RunPod counts a template as in use for two minutes after its last use |
 * | `runpodRolloutIntervalMs`, `runpodRolloutLimitMs` | 5000, 900000 | how an update waits for the workers; a limit of 0 does not |
 * | `runpodImageLookupMs` | 5000 | how long an image's registry may take to answer; 0 does not ask |
 * | `runpodWorkerQuota` | | most workers of the account, as RunPod's console shows it |
 *
 * Synchronous on purpose: Pulumi hands the provider to a second operation before a promise of `configure` has settled.
 *
 * @throws when a key is missing or not what is allowed
 */
export function configure({ config }: dynamic.ConfigureRequest): void {
  const apiKey = config.get("runpodApiKey");
  if (!apiKey) throw new Error('runpodApiKey is not set: run "pulumi config set --secret runpodApiKey <key>".');
  const api = config.get("runpodApi") ?? "graphql";
  if (!isApi(api)) throw new Error(`runpodApi must be ${Object.keys(apis).join(" or ")}, got "${api}"`);

  const address = (key: string, fallback: string) => {
    const url = config.get(key) ?? fallback;
    if (!URL.canParse(url)) throw new Error(`${key} must be a URL such as ${fallback}, got "${url}"`);
    return url;
  };
  const whole = (key: string, unit: string, min: number) => {
    const text = config.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text) || Number(text) < min)
      throw new Error(`${key} must be a whole number of ${unit}, at least ${min}, got "${text}"`);
    return Number(text);
  };
  const milliseconds = (key: string, fallback: number, min = 1) => whole(key, "milliseconds", min) ?? fallback;

  setFirstWait(milliseconds("runpodRetryIntervalMs", 500));
  const options = { apiKey, url: address("runpodApiUrl", "https://api.runpod.io") };
  const client = apis[api](options);
  current = {
    api,
    client,
    watch: fleetWatch(options, address("runpodJobApiUrl", "https://api.runpod.ai/v2"), client),
    inUse: {
      intervalMs: milliseconds("runpodInUseIntervalMs", 10_000),
      limitMs: milliseconds("runpodInUseLimitMs", 300_000),
    },
    rollout: {
      intervalMs: milliseconds("runpodRolloutIntervalMs", 5_000),
      limitMs: milliseconds("runpodRolloutLimitMs", 900_000, 0),
    },
    imageLookupMs: milliseconds("runpodImageLookupMs", 5_000, 0),
    workerQuota: whole("runpodWorkerQuota", "workers", 1),
  };
}

/**
 * The connection of this process.
 *
 * @throws when `configure` has not run
 */
export function connection(): Connection {
  if (current === undefined)
    throw new Error("The RunPod provider is not configured: set runpodApiKey in the stack's config.");
  return current;
}

function isApi(text: string): text is Api {
  return Object.hasOwn(apis, text);
}

import type { dynamic } from "@pulumi/pulumi";
import { ConfigurationError, missingSecret, parseConfig } from "../dynamic/config";
import { apis } from "./apis";
import type { RunpodClient } from "./client";
import { RunpodConfig } from "./config";
import { withoutRefusedDelegations } from "./delegation";
import { type Polling, setRetryPolicy } from "./retry";
import { type WorkerMonitor, workerMonitor } from "./workers";

/** The client and the settings that every method of the provider uses. */
export interface Connection {
  client: RunpodClient;
  monitor: WorkerMonitor;
  /** Interval and time limit for reads of RunPod's lists, which can show a new resource late. */
  settle: Polling;
  /** Interval and time limit for retries of a delete that RunPod refuses because the template is in use. */
  inUse: Polling;
  /**
   * Interval and time limit for checks that the workers run the new version. With limit 0, the provider does not check.
   */
  rollout: Polling;
  /** Timeout in milliseconds for the check of an image in its registry. With 0, the provider does not check. */
  imageLookupMs: number;
  /**
   * Maximum number of workers over all endpoints of the account. Undefined when the operator has not configured this
   * number.
   */
  workerQuota: number | undefined;
}

/**
 * The connection, or the error of `configure`. After such an error, Pulumi still calls the other methods. These methods
 * must throw the same error.
 */
let current: Connection | ConfigurationError | undefined;

/**
 * Reads the configuration keys of `RunpodConfig` and the secret `runpodApiKey`. Synchronous, because Pulumi does not
 * await a promise of `configure` before the provider's next operation.
 *
 * @throws ConfigurationError that names every missing or bad key and the allowed values
 */
export function configure(request: dynamic.ConfigureRequest): void {
  const { config, problems = [] } = parseConfig(RunpodConfig, (key) => request.config.get(key));
  const apiKey = request.config.get("runpodApiKey");
  if (!config || !apiKey) {
    current = new ConfigurationError(apiKey ? problems : [...problems, missingSecret("runpodApiKey")]);
    throw current;
  }

  const intervalMs = config.runpodRetryIntervalMs;
  setRetryPolicy({ intervalMs, limitMs: config.runpodRetryLimitMs });
  const options = { apiKey, url: config.runpodApiUrl };
  const client = withoutRefusedDelegations(apis[config.runpodApi](options), options);
  current = {
    client,
    monitor: workerMonitor(options, config.runpodJobApiUrl, client),
    settle: { intervalMs, limitMs: config.runpodSettleLimitMs },
    inUse: { intervalMs: config.runpodInUseIntervalMs, limitMs: config.runpodInUseLimitMs },
    rollout: { intervalMs: config.runpodRolloutIntervalMs, limitMs: config.runpodRolloutLimitMs },
    imageLookupMs: config.runpodImageLookupMs,
    workerQuota: config.runpodWorkerQuota,
  };
}

/**
 * Returns the connection of this process.
 *
 * @throws ConfigurationError when `configure` has failed or has not run
 */
export function connection(): Connection {
  current ??= new ConfigurationError([missingSecret("runpodApiKey")]);
  if (current instanceof ConfigurationError) throw current;
  return current;
}

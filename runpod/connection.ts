import type { dynamic } from "@pulumi/pulumi";
import type { RunpodClient } from "./client";
import { graphqlClient } from "./graphql";
import type { Wait } from "./patience";

/** What the provider's methods work with. */
interface Connection {
  client: RunpodClient;
  /** How long a delete waits for RunPod to let go. */
  inUse: Wait;
}

let current: Connection | undefined;

/**
 * Reads the stack's configuration: `runpodApiKey` (secret, required), `runpodApiUrl` (default https://api.runpod.io),
 * `runpodInUseIntervalMs` (default 10000) and `runpodInUseLimitMs` (default 300000; RunPod counts a template as in use for
 * two minutes after its last use).
 *
 * Synchronous on purpose: Pulumi hands the provider to a second operation before a promise of `configure` has settled.
 *
 * @throws when a key is missing or not what is allowed
 */
export function configure(request: dynamic.ConfigureRequest): void {
  const apiKey = request.config.get("runpodApiKey");
  if (!apiKey) throw new Error('runpodApiKey is not set: run "pulumi config set --secret runpodApiKey <key>".');
  const url = request.config.get("runpodApiUrl") ?? "https://api.runpod.io";
  if (!URL.canParse(url)) throw new Error(`runpodApiUrl must be a URL such as https://api.runpod.io, got "${url}"`);
  const milliseconds = (key: string, fallback: number) => {
    const text = request.config.get(key) ?? String(fallback);
    if (!/^[1-9]\d*$/.test(text))
      throw new Error(`${key} must be a whole number of milliseconds, at least 1, got "${text}"`);
    return Number(text);
  };
  current = {
    client: graphqlClient({ apiKey, url }),
    inUse: {
      intervalMs: milliseconds("runpodInUseIntervalMs", 10_000),
      limitMs: milliseconds("runpodInUseLimitMs", 300_000),
    },
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

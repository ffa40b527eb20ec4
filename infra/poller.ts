import * as pulumi from "@pulumi/pulumi";
import { byModel, type Model } from "../contract/plan";
import type { Settings } from "../functions/poller";
import { stackNames } from "../names";
import type { AccountKeys } from "./accountKeys";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Inference } from "./inference";
import { Lambda } from "./lambda";
import type { Registry } from "./registry";
import { Schedule } from "./schedule";
import { readSecrets } from "./secrets";
import type { Tickets } from "./tickets";

/** Arguments of `createPoller`. */
export interface PollerArgs {
  config: Pick<Config, "stack" | "operations" | "runpodApiUrl" | "runpodJobApiUrl" | Model>;
  endpoints: Record<Model, Inference>;
  /** Signs the tickets of keep-alive jobs. */
  tickets: Tickets;
  /** RunPod's key, with which the poller reads the endpoints. */
  keys: AccountKeys;
  data: Data;
  /** Renews the registry token, whose age the poller publishes. */
  registry: Registry;
}

/**
 * Creates the function that publishes RunPod's numbers as metrics each minute, because RunPod itself sends none. It also
 * sends the keep-alive jobs.
 */
export function createPoller(
  { config, endpoints, tickets, keys, data, registry }: PollerArgs,
  child: pulumi.CustomResourceOptions,
): Lambda<Settings> {
  const { tokenExpiry } = registry.refresh ?? {};
  const poller = new Lambda<Settings>(
    "poller",
    {
      bundle: "poller",
      functionName: stackNames(config.stack).functions.poller,
      settings: pulumi.output({
        runpodApiUrl: config.runpodApiUrl,
        runpodJobApiUrl: config.runpodJobApiUrl,
        runpodKeyParameter: keys.runpod.name,
        endpoints: byModel((model) => ({ id: endpoints[model].endpointId, workersMax: config[model].workersMax })),
        ...(tokenExpiry && { tokenExpiryParameter: tokenExpiry.name }),
        ephemeralTable: data.ephemeral.name,
        ticketIssuer: tickets.issuer,
        signingKeyParameter: tickets.signingKey.name,
        metrics: config.operations.metrics,
      }),
      statements: [...readSecrets(keys.runpod, tickets.signingKey, tokenExpiry), data.ephemeral.keepAlive()],
      timeoutSeconds: 50,
    },
    child,
  );
  new Schedule("poller", { lambda: poller, every: "1 minute" }, child);
  return poller;
}

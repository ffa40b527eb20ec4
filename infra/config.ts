import * as pulumi from "@pulumi/pulumi";
import { byModel, type Model } from "../contract/plan";
import { type VipProvider, vipProviderKeys } from "../contract/relay";
import { missingSecret } from "../dynamic/config";
import type { Policy } from "../functions/core/entitlement";
import { browserKeyOf, configKey, huggingfaceTokenOf } from "../names";
import { checkConfig } from "./checkConfig";
import type { PlainConfig } from "./configSchema";

/** Whether a key of the configuration was set with `--secret`. The SDK exports this function without its type. */
const { isConfigSecret } = pulumi.runtime as typeof pulumi.runtime & { isConfigSecret(key: string): boolean };

/** Value of `registry` in the configuration. With kind `token`, it also contains the secret token. */
type Registry =
  | Exclude<PlainConfig["registry"], { kind: "token" }>
  | (Extract<PlainConfig["registry"], { kind: "token" }> & { token: pulumi.Output<string> });

/** The stack's configuration, parsed. Secrets stay Pulumi secrets. */
export type Config = Omit<PlainConfig, "billing" | "registry"> & {
  billing: PlainConfig["billing"] & { returnUrls: string[] };
  registry: Registry;
  /**
   * RunPod key with access to the whole account. The provider uses this key. The function that renews the registry's
   * token also uses it.
   */
  runpodApiKey: pulumi.Output<string>;
  /** Rules from which every function computes a customer's plan. */
  planPolicy: Policy;
  /** Name of the stack. It is part of every name that must be unique in an account. */
  stack: string;
  /** RunPod keys for browsers, each restricted to one endpoint. The operator creates them in RunPod's console. */
  browserKeys: Partial<Record<Model, pulumi.Output<string>>>;
  /** Hugging Face tokens of the models' workers. */
  huggingfaceTokens: Partial<Record<Model, pulumi.Output<string>>>;
  /** Keys of external LLMs. */
  providerKeys: Partial<Record<VipProvider, pulumi.Output<string>>>;
  /** URL that gets the alarms that page. */
  alarmWebhookUrl: pulumi.Output<string> | undefined;
  /** Stripe's keys. Without `apiKey` no plan is for sale. */
  stripe: {
    /** Restricted key that the functions use. */
    apiKey: pulumi.Output<string> | undefined;
    /** Whether a key to register the webhook endpoint is configured. Only the provider reads that key. */
    registersWebhook: boolean;
    /** Signing secret of a webhook endpoint that the operator registered in Stripe's dashboard. */
    webhookSecret: pulumi.Output<string> | undefined;
  };
};

/**
 * Reads the stack's configuration. No other code reads pulumi.Config.
 *
 * @throws pulumi.RunError that lists every bad value: the key, the allowed values and the value itself
 */
export function loadConfig(): Config {
  const source = new pulumi.Config();
  const stack = pulumi.getStack();
  const { config, problems, missingSecrets } = checkConfig({
    stack,
    keys: Object.keys(pulumi.runtime.allConfig()),
    get: (key) => pulumi.runtime.getConfig(key),
    isEncrypted: isConfigSecret,
  });
  const runpodApiKey = source.getSecret("runpodApiKey");
  const lines = [...problems, ...missingSecrets.map((key) => configKey(missingSecret(key)))];
  if (!config || !runpodApiKey || lines.length > 0) {
    const list = lines.map((line) => `\n  ${line}`).join("");
    throw new pulumi.RunError(`The configuration of stack ${stack} is not valid:${list}`);
  }
  const token = source.getSecret("registryToken");
  const { billing, frontend, registry } = config;
  return {
    ...config,
    billing: { ...billing, returnUrls: billing.returnUrls ?? frontend.origins.map((origin) => `${origin}/`) },
    registry: registry.kind === "token" ? { ...registry, token: token ?? pulumi.output("") } : registry,
    runpodApiKey,
    planPolicy: { prices: billing.prices, graceDays: billing.graceDays },
    stack,
    browserKeys: secretsOf(source, byModel(browserKeyOf)),
    huggingfaceTokens: secretsOf(source, byModel(huggingfaceTokenOf)),
    providerKeys: secretsOf(source, vipProviderKeys),
    alarmWebhookUrl: source.getSecret("alarmWebhookUrl"),
    stripe: {
      apiKey: source.getSecret("stripeApiKey"),
      registersWebhook: source.getSecret("stripeWebhookKey") !== undefined,
      webhookSecret: source.getSecret("stripeWebhookSecret"),
    },
  };
}

/** Reads those secrets that are configured. `keys` maps each name to its configuration key. */
function secretsOf<Name extends string>(
  source: pulumi.Config,
  keys: Record<Name, string | undefined>,
): Partial<Record<Name, pulumi.Output<string>>> {
  const found = Object.entries<string | undefined>(keys).flatMap(([name, key]) => {
    const secret = key && source.getSecret(key);
    return secret ? [[name, secret]] : [];
  });
  return Object.fromEntries(found);
}

import * as pulumi from "@pulumi/pulumi";
import { byModel, type Model, models } from "../contract/plan";
import { type VipProvider, vipProviderKeys } from "../contract/relay";
import { missingSecret } from "../dynamic/config";
import type { Policy } from "../functions/core/entitlement";
import { browserKeyOf } from "../names";
import { isPrivateEcr } from "../runpod/imageName";
import { ConfigSchema, type PlainConfig, parsePlainConfig, secretKeys } from "./configSchema";

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
  /** Keys of external LLMs. */
  providerKeys: Partial<Record<VipProvider, pulumi.Output<string>>>;
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
  const { config, problems: badValues = [] } = parsePlainConfig((key) => source.get(key));
  const problems = [...unknownKeys(source.name), ...badValues];
  const runpodApiKey = source.getSecret("runpodApiKey");
  if (!runpodApiKey) problems.push(missingSecret("runpodApiKey"));
  const token = source.getSecret("registryToken");
  const keys = secretsOf(source, vipProviderKeys);
  if (config) {
    problems.push(...contradictions(config, pulumi.getStack(), token !== undefined), ...missingProviders(config, keys));
  }
  if (!config || !runpodApiKey || problems.length > 0) {
    const lines = problems.map((problem) => `\n  ${source.name}:${problem}`);
    throw new pulumi.RunError(`The configuration of stack ${pulumi.getStack()} is not valid:${lines.join("")}`);
  }
  const { billing, frontend, registry } = config;
  return {
    ...config,
    billing: { ...billing, returnUrls: billing.returnUrls ?? frontend.origins.map((origin) => `${origin}/`) },
    registry: registry.kind === "token" ? { ...registry, token: token ?? pulumi.output("") } : registry,
    runpodApiKey,
    planPolicy: { prices: billing.prices, graceDays: billing.graceDays },
    stack: pulumi.getStack(),
    browserKeys: secretsOf(source, byModel(browserKeyOf)),
    providerKeys: keys,
    stripe: {
      apiKey: source.getSecret("stripeApiKey"),
      registersWebhook: source.get("stripeWebhookKey") !== undefined,
      webhookSecret: source.getSecret("stripeWebhookSecret"),
    },
  };
}

/** Reads the configured ones of some secrets. `keys` has the configuration key of each name. */
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

/** Finds external LLMs that are listed but have no settings or no key. */
function missingProviders({ vip }: PlainConfig, keys: Config["providerKeys"]): string[] {
  return vip.providers.flatMap((provider) => {
    const problems: string[] = [];
    if (!vip[provider]) problems.push(`vip.${provider}: is missing: vip.providers has ${provider}, so set its model`);
    const key = vipProviderKeys[provider];
    if (key && !keys[provider]) problems.push(missingSecret(key));
    return problems;
  });
}

/** Finds values that are valid alone but contradict each other. */
function contradictions(config: PlainConfig, stack: string, hasToken: boolean): string[] {
  const { registry, runpodWorkerQuota } = config;
  const problems: string[] = [];
  for (const model of models) {
    const { imageTag, imageUri, workersMin } = config[model];
    if (imageTag !== undefined && (registry.kind === "token" || registry.kind === "public")) {
      problems.push(
        `registry.kind: must be ecr or delegation, because ${model}.imageTag is pushed to private ECR, got "${registry.kind}"`,
      );
    }
    if (registry.kind === "delegation" && isFromEcr(config[model]) && registry.ids[model] === undefined) {
      problems.push(`registry.ids.${model}: must be RunPod's id of the delegation for the model's repository`);
    }
    if (workersMin > 0 && /^dev\b/.test(stack)) {
      problems.push(
        `${model}.workersMin: must be 0 in a dev stack, because such a worker always costs money, got ${workersMin}`,
      );
    }
    if (imageUri !== undefined && isPrivateEcr(imageUri) && registry.kind === "public") {
      problems.push(
        `registry.kind: must be ecr or delegation, because ${model}.imageUri is in private ECR, got "public"`,
      );
    }
  }
  if (registry.kind === "token" && !hasToken) problems.push(missingSecret("registryToken"));
  const workers = models.reduce((sum, model) => sum + config[model].workersMax, 0);
  if (runpodWorkerQuota !== undefined && workers > runpodWorkerQuota) {
    const each = models.map((model) => `${model} ${config[model].workersMax}`).join(", ");
    problems.push(`runpodWorkerQuota: must be at least the sum of workersMax (${each}), got ${runpodWorkerQuota}`);
  }
  return problems;
}

/** Whether the image of a model is in private ECR. */
function isFromEcr({ imageUri }: PlainConfig[Model]): boolean {
  return imageUri === undefined || isPrivateEcr(imageUri);
}

function unknownKeys(namespace: string): string[] {
  const known = [...Object.keys(ConfigSchema.shape), ...Object.keys(secretKeys)];
  return Object.keys(pulumi.runtime.allConfig())
    .filter((key) => key.startsWith(`${namespace}:`))
    .map((key) => key.slice(namespace.length + 1))
    .filter((key) => !known.includes(key))
    .map((key) => `${key}: is not a known key; known keys are ${known.join(", ")}`);
}

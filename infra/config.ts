import * as pulumi from "@pulumi/pulumi";
import { byModel, type Model, models } from "../contract/plan";
import { type VipProvider, vipProviderKeys } from "../contract/relay";
import { missingSecret } from "../dynamic/config";
import type { Policy } from "../functions/core/entitlement";
import { browserKeyOf, configKey, huggingfaceTokenOf, stackTags } from "../names";
import { isPrivateEcr } from "../runpod/imageName";
import {
  anySecret,
  ConfigSchema,
  type PlainConfig,
  parseAwsConfig,
  parsePlainConfig,
  secretForms,
  secretKeys,
} from "./configSchema";

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
  const { config, problems: badValues = [] } = parsePlainConfig((key) => source.get(key));
  const problems = [...unknownKeys(source.name), ...badValues, ...badSecrets()];
  const runpodApiKey = source.getSecret("runpodApiKey");
  if (!runpodApiKey) problems.push(missingSecret("runpodApiKey"));
  const token = source.getSecret("registryToken");
  const keys = secretsOf(source, vipProviderKeys);
  if (config) {
    problems.push(...contradictions(config, stack, token !== undefined), ...missingProviders(config, keys));
  }
  const lines = [...badStackName(stack), ...badAwsConfig(stack), ...problems.map(configKey)];
  if (!config || !runpodApiKey || lines.length > 0) {
    const list = lines.map((line) => `\n  ${line}`).join("");
    throw new pulumi.RunError(`The configuration of stack ${stack} is not valid:${list}`);
  }
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
    providerKeys: keys,
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

/**
 * Longest name of a stack. The name of a role contains the project, the stack and a purpose. AWS allows 64 characters.
 */
const STACK_NAME_LIMIT = 18;

function badStackName(stack: string): string[] {
  if (stack.length <= STACK_NAME_LIMIT && /^[\w-]+$/.test(stack)) return [];
  const allowed = `at most ${STACK_NAME_LIMIT} letters, digits, - and _, because names at AWS contain it`;
  return [`the name of the stack: must be ${allowed}, got "${stack}"`];
}

/**
 * Finds missing keys of the AWS provider. Without default tags, nobody can tell which stack of an account a resource
 * belongs to.
 */
function badAwsConfig(stack: string): string[] {
  const { region, tags } = parseAwsConfig((key) => pulumi.runtime.getConfig(`aws:${key}`));
  const problems = region
    ? []
    : ["aws:region: must be an AWS Region; set it with: pulumi config set aws:region ap-northeast-1"];
  for (const [name, value] of Object.entries(stackTags(stack))) {
    if (tags[name] === value) continue;
    const path = `aws:defaultTags.tags.${name}`;
    problems.push(`${path}: must be "${value}"; set it with: pulumi config set --path ${path} ${value}`);
  }
  return problems;
}

/** Finds secrets that have the wrong form, or that Pulumi would store in plain text. Never quotes a value. */
function badSecrets(): string[] {
  const { isLocal } = parseAwsConfig((key) => pulumi.runtime.getConfig(`aws:${key}`));
  return Object.keys(secretKeys).flatMap((key) => {
    const value = pulumi.runtime.getConfig(configKey(key));
    if (value === undefined) return [];
    const { form, allowed } = secretForms[key] ?? anySecret;
    if (!form.test(value)) return [`${key}: must be ${allowed}; set it with: pulumi config set --secret ${key}`];
    // The keys of the local cloud are valid nowhere else.
    if (isLocal || isConfigSecret(configKey(key))) return [];
    return [
      `${key}: is in plain text, so the stack's file and state would show it. Replace the key, and set the new one with: ` +
        `pulumi config set --secret ${key}`,
    ];
  });
}

/** Finds external LLMs that `vip.providers` lists but that have no settings or no key. */
function missingProviders({ vip }: PlainConfig, keys: Config["providerKeys"]): string[] {
  return vip.providers.flatMap((provider) => {
    const problems: string[] = [];
    if (!vip[provider])
      problems.push(`vip.${provider}: is missing, but vip.providers lists ${provider}: set its model`);
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

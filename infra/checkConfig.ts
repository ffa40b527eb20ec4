import { type Model, models } from "../contract/plan";
import { vipProviderKeys } from "../contract/relay";
import { configKey, isStackName, STACK_NAME_RULE, stackTags } from "../names";
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

/** Values of a stack's configuration, from Pulumi or from the stack's file. Keys have their namespace. */
export interface ConfigSource {
  /** Name of the stack. */
  stack: string;
  keys: string[];
  /** Value of a key as the text that Pulumi stores. A secret that cannot be read may be replaced by its placeholder. */
  get(key: string): string | undefined;
  /** Whether a key was set with `--secret`. */
  isEncrypted(key: string): boolean;
}

/** Result of `checkConfig`. */
interface CheckedConfig {
  /** The configuration without its secrets. Undefined when it cannot be parsed. */
  config: PlainConfig | undefined;
  /** One line per bad value: the full key, the allowed values and the bad value. Secret values are never quoted. */
  problems: string[];
  /** Secrets that the program needs and that are not set, without their namespace. */
  missingSecrets: string[];
}

/** Checks a stack's whole configuration. The program and the command config:check use the same rules. */
export function checkConfig(source: ConfigSource): CheckedConfig {
  const { stack, keys, get } = source;
  const { config, problems: badValues = [] } = parsePlainConfig((key) => get(configKey(key)));
  const problems = [...unknownKeys(keys), ...badValues, ...badSecrets(source)];
  if (config) problems.push(...contradictions(config, stack), ...missingProviders(config));
  return {
    config,
    problems: [...badStackName(stack), ...badAwsConfig(source), ...problems.map(configKey)],
    missingSecrets: neededSecrets(config).filter((key) => get(configKey(key)) === undefined),
  };
}

function badStackName(stack: string): string[] {
  if (isStackName(stack)) return [];
  return [`the name of the stack: must have ${STACK_NAME_RULE}, because names at AWS contain it, got "${stack}"`];
}

/**
 * Finds missing keys of the AWS provider. Without default tags, nobody can tell which stack of an account a resource
 * belongs to.
 */
function badAwsConfig({ stack, get }: ConfigSource): string[] {
  const { region, tags } = parseAwsConfig((key) => get(`aws:${key}`));
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
function badSecrets({ get, isEncrypted }: ConfigSource): string[] {
  const { isLocal } = parseAwsConfig((key) => get(`aws:${key}`));
  return Object.keys(secretKeys).flatMap((key) => {
    const value = get(configKey(key));
    if (value === undefined) return [];
    const { form, allowed } = secretForms[key] ?? anySecret;
    if (!form.test(value)) return [`${key}: must be ${allowed}; set it with: pulumi config set --secret ${key}`];
    // The keys of the local cloud are valid nowhere else.
    if (isLocal || isEncrypted(configKey(key))) return [];
    return [
      `${key}: is in plain text, so the stack's file and state would show it. Replace the key, and set the new one with: ` +
        `pulumi config set --secret ${key}`,
    ];
  });
}

/** Finds external LLMs that `vip.providers` lists but that have no settings. */
function missingProviders({ vip }: PlainConfig): string[] {
  return vip.providers
    .filter((provider) => !vip[provider])
    .map((provider) => `vip.${provider}: is missing, but vip.providers lists ${provider}: set its model`);
}

/** Secrets that the program needs with this configuration. */
function neededSecrets(config: PlainConfig | undefined): string[] {
  if (!config) return ["runpodApiKey"];
  const { registry, vip } = config;
  return [
    "runpodApiKey",
    ...(registry.kind === "token" ? ["registryToken"] : []),
    ...vip.providers.flatMap((provider) => vipProviderKeys[provider] ?? []),
  ];
}

/**
 * Finds values that are valid alone but contradict each other.
 *
 * @returns one line per problem: the key without its namespace, the allowed values and the bad value
 */
export function contradictions(config: PlainConfig, stack: string): string[] {
  const { registry, runpodWorkerQuota } = config;
  const problems: string[] = [];
  for (const model of models) {
    const { candidate, workersMin } = config[model];
    problems.push(...registryProblems(model, config[model], registry));
    if (candidate) problems.push(...registryProblems(`${model}.candidate`, candidate, registry));
    const isDelegated = [config[model], ...(candidate ? [candidate] : [])].some(isFromEcr);
    if (registry.kind === "delegation" && isDelegated && registry.ids[model] === undefined) {
      problems.push(`registry.ids.${model}: must be RunPod's id of the delegation for the model's repository`);
    }
    if (workersMin > 0 && /^dev([_-]|$)/.test(stack)) {
      problems.push(
        `${model}.workersMin: must be 0 in a dev stack, because such a worker always costs money, got ${workersMin}`,
      );
    }
  }
  for (const model of models) problems.push(...candidateProblems(model, config[model]));
  const workersMax = models.flatMap((model) => {
    const { workersMax, candidate } = config[model];
    const released = [model, workersMax] as const;
    return candidate ? [released, [`${model}.candidate`, candidate.workersMax] as const] : [released];
  });
  const workers = workersMax.reduce((sum, [, count]) => sum + count, 0);
  if (runpodWorkerQuota !== undefined && workers > runpodWorkerQuota) {
    const each = workersMax.map((pair) => pair.join(" ")).join(", ");
    problems.push(`runpodWorkerQuota: must be at least the sum of workersMax (${each}), got ${runpodWorkerQuota}`);
  }
  return problems;
}

/** Keys of an image, of a model or of its candidate. */
type Images = Pick<PlainConfig[Model], "imageTag" | "pushedTag" | "imageUri">;

/** The key of an image that is set, and the image. */
function imageOf(images: Images): { key: keyof Images; image: string } {
  for (const key of ["imageTag", "pushedTag", "imageUri"] as const) {
    const image = images[key];
    if (image !== undefined) return { key, image };
  }
  throw new Error("The schema allows no block without an image");
}

/** Finds a registry that RunPod cannot pull an image in private ECR from. */
function registryProblems(path: string, images: Images, { kind }: PlainConfig["registry"]): string[] {
  const { key } = imageOf(images);
  // The credentials of kind token may be those of another ECR.
  const cannotPull = kind === "public" || (kind === "token" && key !== "imageUri");
  if (!cannotPull || !isFromEcr(images)) return [];
  return [`registry.kind: must be ecr or delegation, because ${path}.${key} is in private ECR, got "${kind}"`];
}

/**
 * Finds contradictions between a candidate and its released model. Both images must be in the stack's ECR, or both must
 * be images of a pipeline. Both images must contain their weights: with `weights: cached`, both endpoints would get the
 * weights of the same commit.
 */
function candidateProblems(model: Model, { candidate, weights, ...images }: PlainConfig[Model]): string[] {
  if (!candidate) return [];
  const path = `${model}.candidate`;
  const released = imageOf(images);
  const { key, image } = imageOf(candidate);
  if ((released.key === "imageUri") !== (key === "imageUri")) {
    const allowed = released.key === "imageUri" ? "imageUri" : "imageTag or pushedTag";
    return [`${path}: must have ${allowed}, because ${model}.${released.key} is set`];
  }
  const problems = [];
  if (image === released.image)
    problems.push(`${path}.${key}: must differ from ${model}.${released.key}, got "${image}"`);
  if (weights === "cached") problems.push(`${model}.weights: must be baked while ${path} is set, got "cached"`);
  return problems;
}

/** Whether an image is in private ECR. */
function isFromEcr({ imageUri }: Images): boolean {
  return imageUri === undefined || isPrivateEcr(imageUri);
}

function unknownKeys(keys: string[]): string[] {
  const known = [...Object.keys(ConfigSchema.shape), ...Object.keys(secretKeys)];
  return keys
    .filter((key) => key.startsWith(configKey("")))
    .map((key) => key.slice(configKey("").length))
    .filter((key) => !known.includes(key))
    .map((key) => `${key}: is not a known key; known keys are ${known.join(", ")}`);
}

import { type Model, models } from "../../contract/plan";
import { type VipProvider, vipProviderKeys, vipProviders } from "../../contract/relay";
import { type PlainConfig, parsePlainConfig } from "../../infra/configSchema";
import { localCredentials, readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { cloudStackConfig } from "../../local/support/ports";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import { browserKeyOf, configKey, localStacks, START_STACK, stackNames } from "../../names";
import type { Aws } from "./awsClient";
import { type Secret, secretReader } from "./secrets";

/** The stack that the doctor examines. */
export interface Target {
  /** The stack's parsed configuration and name. */
  config: PlainConfig & { stack: string };
  /** `<project>/<stack>`: owner tag of the stack's resources. */
  owner: string;
  aws: Aws;
  /** Secret. Key of the whole RunPod account. */
  apiKey: Secret;
  /** Secret. Stripe key of the functions; undefined when the stack sells nothing. */
  stripeKey: Secret;
  /** Secret. Stripe key that may read webhook endpoints. */
  stripeWebhookKey: Secret;
  /** Secrets. Keys that browsers use for a model. */
  browserKeys: Record<Model, Secret>;
  /** Key of each external LLM, and its base URL where the stack has its own. */
  providers: Partial<Record<VipProvider, { key: Secret; baseUrl?: string }>>;
}

/**
 * Reads a stack's configuration from `Pulumi.<stack>.yaml` and its secrets from the environment, the file or Pulumi.
 * For the stack of `npm start` it also reads the current URLs.
 *
 * @param place.programDir folder of the stacks' files
 * @param place.dir folder of `npm start`'s state
 * @throws Error that names the missing or bad value and the next step
 */
export async function loadTarget(
  stack: string,
  { programDir, dir }: { programDir: string; dir: string },
  env: NodeJS.ProcessEnv = process.env,
): Promise<Target> {
  const isLocal = localStacks.includes(stack);
  const file = isLocal ? "local" : stack;
  const endpoints = isLocal ? readAwsEndpoints(dir) : undefined;
  // With `--free-ports` the URLs of npm start's stack differ from those in the file. Its image tags always do.
  const isStarted = stack === START_STACK && endpoints !== undefined;
  const given = isStarted
    ? cloudStackConfig(programDir, endpoints.ports, endpoints.imageTags)
    : readStackConfig(programDir, file);
  const { config, problems = [] } = parsePlainConfig((key) => given.values[configKey(key)]);
  if (!config) throw new Error(`Pulumi.${file}.yaml is not valid:${problems.map((line) => `\n  ${line}`).join("")}`);

  const secret = secretReader({ stack, programDir }, namespaced(given), env);
  const [apiKey, stripeKey, stripeWebhookKey, browserKeys, providers] = await Promise.all([
    secret("runpodApiKey", "RUNPOD_API_KEY"),
    secret("stripeApiKey", "STRIPE_API_KEY"),
    secret("stripeWebhookKey", "STRIPE_WEBHOOK_KEY"),
    readEach(models, (model) => secret(browserKeyOf(model), browserKeyVariable(model))),
    readEach(vipProviders, async (name) => {
      const key = vipProviderKeys[name];
      return {
        key: key && (await secret(key, providerKeyVariable(key))),
        ...(endpoints && { baseUrl: endpoints.providers[name] }),
      };
    }),
  ]);
  return {
    config: { ...config, stack },
    owner: stackNames(stack).owner,
    aws: {
      // As Pulumi does: the stack's file is stronger than the environment.
      region: given.values["aws:region"] ?? env.AWS_REGION ?? "us-east-1",
      ...(endpoints && { endpoints, credentials: localCredentials }),
    },
    apiKey,
    stripeKey,
    stripeWebhookKey,
    browserKeys,
    providers,
  };
}

/** Every environment variable with a secret of a stack. */
export const secretVariables = [
  "RUNPOD_API_KEY",
  "STRIPE_API_KEY",
  "STRIPE_WEBHOOK_KEY",
  ...models.map(browserKeyVariable),
  ...Object.values(vipProviderKeys).flatMap((key) => (key ? [providerKeyVariable(key)] : [])),
];

/** Environment variable of an external LLM's key: ANTHROPIC_API_KEY for `anthropicApiKey`. */
export function providerKeyVariable(key: string): string {
  return key.replaceAll(/[A-Z]/g, "_$&").toUpperCase();
}

/** Reads a value for each name at the same time. */
async function readEach<Name extends string, T>(names: readonly Name[], read: (name: Name) => Promise<T>) {
  const pairs = await Promise.all(names.map(async (name) => [name, await read(name)] as const));
  return Object.fromEntries(pairs) as Record<Name, T>;
}

/** Environment variable of the RunPod key that browsers use for a model. */
function browserKeyVariable(model: Model): string {
  return `${model.toUpperCase()}_BROWSER_KEY`;
}

/** Reads values without the project's namespace. */
function namespaced({ values, encryptedKeys }: StackConfig) {
  return {
    plain: (key: string) => values[configKey(key)],
    isEncrypted: (key: string) => encryptedKeys.includes(configKey(key)),
  };
}

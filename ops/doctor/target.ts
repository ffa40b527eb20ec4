import { type Model, models } from "../../contract/plan";
import { type PlainConfig, parsePlainConfig } from "../../infra/configSchema";
import { localCredentials, readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { readStartedProgram } from "../../local/cloud/outputs";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import { browserKeyOf, configKey, localStacks, START_STACK, stackNames } from "../../names";
import type { Aws } from "./aws";
import { secretReader } from "./secrets";

/** The stack that the doctor examines. */
export interface Target {
  /** The stack's parsed configuration and name. */
  config: PlainConfig & { stack: string };
  /** `<project>/<stack>`: owner tag of the stack's resources. */
  owner: string;
  aws: Aws;
  /** Secret. Key of the whole RunPod account. */
  apiKey: string;
  /**
   * Secret. Stripe key of the functions; `unread` when it could not be read; undefined when the stack sells nothing.
   */
  stripeKey: { key: string } | "unread" | undefined;
  /** Secret. Browser keys; `unread` when a key is set but could not be read; undefined when it is not set. */
  browserKeys: Record<Model, { key: string } | "unread" | undefined>;
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
  const given = readStackConfig(programDir, file, stack === START_STACK ? runningUrls(dir) : {});
  const { config, problems = [] } = parsePlainConfig((key) => given.values[configKey(key)]);
  if (!config) throw new Error(`Pulumi.${file}.yaml is not valid:${problems.map((line) => `\n  ${line}`).join("")}`);

  const secret = secretReader({ stack, programDir }, namespaced(given), env);
  const apiKey = await secret("runpodApiKey", "RUNPOD_API_KEY");
  if (typeof apiKey !== "object") {
    const why =
      apiKey === undefined
        ? `runpodApiKey is not set in Pulumi.${file}.yaml`
        : `runpodApiKey is encrypted in Pulumi.${file}.yaml and the pulumi command could not read it`;
    throw new Error(`${why}. Set RUNPOD_API_KEY in the environment, or sign in with Pulumi.`);
  }
  const keys = models.map(
    async (model) => [model, await secret(browserKeyOf(model), browserKeyVariable(model))] as const,
  );
  return {
    config: { ...config, stack },
    owner: stackNames(stack).owner,
    aws: {
      region: env.AWS_REGION ?? given.values["aws:region"] ?? "us-east-1",
      ...(isLocal && {
        endpoints: readAwsEndpoints(dir),
        credentials: localCredentials,
      }),
    },
    apiKey: apiKey.key,
    stripeKey: await secret("stripeApiKey", "STRIPE_API_KEY"),
    browserKeys: Object.fromEntries(await Promise.all(keys)) as Target["browserKeys"],
  };
}

/** Environment variable of the RunPod key that browsers use for a model. */
export function browserKeyVariable(model: Model): string {
  return `${model.toUpperCase()}_BROWSER_KEY`;
}

/** Reads values without the project's namespace. */
function namespaced({ values, encryptedKeys }: StackConfig) {
  return {
    plain: (key: string) => values[configKey(key)],
    isEncrypted: (key: string) => encryptedKeys.includes(configKey(key)),
  };
}

/**
 * Returns the URLs of `npm start`'s RunPod double, from the saved state of that stack. With `--free-ports` they differ
 * from the URLs in the file.
 */
function runningUrls(dir: string): Record<string, string> {
  const { origin } = new URL(startedProgram(dir).outputs.inference.phi3);
  return { runpodApiUrl: origin, runpodJobApiUrl: `${origin}/v2` };
}

function startedProgram(dir: string) {
  try {
    return readStartedProgram(dir);
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : cause}, or name a stack with --stack.`, { cause });
  }
}

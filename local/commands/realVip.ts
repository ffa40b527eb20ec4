import { type VipProvider, vipProviderKeys, vipProviders } from "../../contract/relay";

/** External LLMs that answer instead of the local servers. */
export interface RealVip {
  providers: VipProvider[];
  /** Configuration overrides by path. */
  config: Record<string, unknown>;
  /** Environment variables for the Lambda functions: AWS credentials for Bedrock. */
  lambdaEnv: Record<string, string>;
}

/** Environment variable with each provider's key, as the vendors' SDKs name it. */
const keyVariables = { anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY", huggingface: "HF_TOKEN" } as const;

/** URL of each provider's API. It replaces the URL of the local server. */
const vendorUrls = {
  anthropic: "https://api.anthropic.com",
  openai: "https://api.openai.com/v1",
  huggingface: "https://router.huggingface.co/v1",
} as const;

const credentialVariables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] as const;

/**
 * Reads external LLMs from the environment. `VIP_PROVIDERS` lists them, separated by commas. Each needs its key:
 * `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `HF_TOKEN`, or AWS credentials. `<PROVIDER>_MODEL`, `<PROVIDER>_EFFORT` and
 * `<PROVIDER>_BASE_URL` are optional. A server with OpenAI's API at `OPENAI_BASE_URL`, such as Ollama, needs no key.
 *
 * @returns undefined without `VIP_PROVIDERS`: the local servers answer
 * @throws Error that names the missing variable, without showing a key
 */
export function realVip(env: NodeJS.ProcessEnv): RealVip | undefined {
  if (!env.VIP_PROVIDERS) return undefined;
  const providers = env.VIP_PROVIDERS.split(",").map((name) => providerOf(name.trim()));
  const settings = providers.flatMap((provider) => Object.entries(settingsOf(provider, env)));
  return {
    providers,
    config: { "vip.providers": providers, ...Object.fromEntries(settings) },
    lambdaEnv: providers.includes("bedrock") ? awsCredentials(env) : {},
  };
}

function providerOf(name: string): VipProvider {
  const provider = vipProviders.find((one) => one === name);
  if (!provider) throw new Error(`VIP_PROVIDERS must list ${vipProviders.join(", ")}, got "${name}".`);
  return provider;
}

function settingsOf(provider: VipProvider, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const prefix = provider.toUpperCase();
  const model = env[`${prefix}_MODEL`];
  const effort = env[`${prefix}_EFFORT`];
  return {
    ...(model && { [`vip.${provider}.model`]: model }),
    ...(effort && { [`vip.${provider}.effort`]: effort }),
    ...(provider === "bedrock" ? bedrockSettings(env) : keySettings(provider, env)),
  };
}

function keySettings(provider: Exclude<VipProvider, "bedrock">, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const variable = keyVariables[provider];
  const baseUrl = env[`${provider.toUpperCase()}_BASE_URL`];
  // A server on this machine accepts any key.
  const key = env[variable] || (baseUrl && "none");
  if (!key) throw new Error(`VIP_PROVIDERS lists ${provider}, but ${variable} is not set.`);
  return { [`vip.${provider}.baseUrl`]: baseUrl || vendorUrls[provider], [vipProviderKeys[provider]]: key };
}

function bedrockSettings(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const region = env.BEDROCK_REGION || env.AWS_REGION || env.AWS_DEFAULT_REGION;
  if (!region) throw new Error("VIP_PROVIDERS lists bedrock, but neither BEDROCK_REGION nor AWS_REGION is set.");
  return { "vip.bedrock.region": region, "vip.bedrock.baseUrl": `https://bedrock-runtime.${region}.amazonaws.com` };
}

function awsCredentials(env: NodeJS.ProcessEnv): Record<string, string> {
  if (!env.AWS_ACCESS_KEY_ID || !env.AWS_SECRET_ACCESS_KEY)
    throw new Error("VIP_PROVIDERS lists bedrock, but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set.");
  const found = credentialVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : []));
  return Object.fromEntries(found);
}

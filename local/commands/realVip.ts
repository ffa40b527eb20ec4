import { type VipProvider, vipProviderKeys, vipProviders } from "../../contract/relay";
import type { KeyCheck } from "./keyCheck";

/** External LLMs that answer instead of the local servers. */
export interface RealVip {
  providers: VipProvider[];
  /** Configuration overrides by path. */
  config: Record<string, unknown>;
  /** Environment variables for the Lambda functions: AWS credentials for Bedrock. */
  lambdaEnv: Record<string, string>;
  /** Calls to the vendors that show whether each key is correct. */
  checks: KeyCheck[];
}

/** A provider with a key. Bedrock has AWS credentials instead. */
type KeyProvider = Exclude<VipProvider, "bedrock">;

/** Environment variable of each provider's key, with the name that the vendor's SDK uses. */
const keyVariables = { anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY", huggingface: "HF_TOKEN" } as const;

/** URL of each provider's API. It replaces the URL of the local server. */
const vendorUrls = {
  anthropic: "https://api.anthropic.com",
  openai: "https://api.openai.com/v1",
  huggingface: "https://router.huggingface.co/v1",
} as const;

const credentialVariables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] as const;

/**
 * Reads external LLMs from the environment. `VIP_PROVIDERS` lists them, separated by commas. Each provider needs a key:
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
    checks: providers.flatMap((provider) => (provider === "bedrock" ? [] : checkOf(provider, env))),
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

function keySettings(provider: KeyProvider, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const { baseUrl, key } = accessOf(provider, env);
  return { [`vip.${provider}.baseUrl`]: baseUrl, [vipProviderKeys[provider]]: key };
}

function accessOf(provider: KeyProvider, env: NodeJS.ProcessEnv): { baseUrl: string; key: string } {
  const variable = keyVariables[provider];
  const baseUrl = env[`${provider.toUpperCase()}_BASE_URL`];
  // A server on this machine accepts any key.
  const key = env[variable] || (baseUrl && "none");
  if (!key) throw new Error(`VIP_PROVIDERS lists ${provider}, but ${variable} is not set.`);
  return { baseUrl: baseUrl || vendorUrls[provider], key };
}

/**
 * Returns the check of a key. Every vendor lets any valid key list the models. HuggingFace's router lists the models
 * without a key, so the check asks for the owner of the key instead.
 */
function checkOf(provider: KeyProvider, env: NodeJS.ProcessEnv): KeyCheck {
  const { baseUrl, key } = accessOf(provider, env);
  const isOwnServer = baseUrl !== vendorUrls[provider];
  const headers: Record<string, string> =
    provider === "anthropic"
      ? { "x-api-key": key, "anthropic-version": "2023-06-01" }
      : { authorization: `Bearer ${key}` };
  const url =
    provider === "huggingface" && !isOwnServer ? "https://huggingface.co/api/whoami-v2" : modelsUrl(provider, baseUrl);
  const variable = isOwnServer ? `${provider.toUpperCase()}_BASE_URL` : keyVariables[provider];
  return {
    variable,
    url,
    headers,
    expected: isOwnServer ? "the URL of a server that accepts your key" : "a key of your account",
  };
}

function modelsUrl(provider: KeyProvider, baseUrl: string): string {
  return `${baseUrl.replace(/\/$/, "")}${provider === "anthropic" ? "/v1" : ""}/models`;
}

function bedrockSettings(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const region = env.BEDROCK_REGION || env.AWS_REGION || env.AWS_DEFAULT_REGION;
  if (!region) throw new Error("VIP_PROVIDERS lists bedrock, but neither BEDROCK_REGION nor AWS_REGION is set.");
  return { "vip.bedrock.region": region, "vip.bedrock.baseUrl": `https://bedrock-runtime.${region}.amazonaws.com` };
}

function awsCredentials(env: NodeJS.ProcessEnv): Record<string, string> {
  if (!env.AWS_ACCESS_KEY_ID || !env.AWS_SECRET_ACCESS_KEY)
    throw new Error("VIP_PROVIDERS lists bedrock, but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set.");
  if (!/^A[A-Z0-9]{15,127}$/.test(env.AWS_ACCESS_KEY_ID))
    throw new Error("AWS_ACCESS_KEY_ID must be an access key id of AWS, AKIA… or ASIA….");
  if (env.AWS_ACCESS_KEY_ID.startsWith("ASIA") && !env.AWS_SESSION_TOKEN)
    throw new Error("AWS_SESSION_TOKEN is not set, but AWS_ACCESS_KEY_ID is a temporary key (ASIA…).");
  const found = credentialVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : []));
  return Object.fromEntries(found);
}

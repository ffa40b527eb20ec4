import { type PlainConfig, parsePlainConfig } from "../../infra/configSchema";
import { type PreviewProgress, previewStack } from "../../local/cloud/previewStack";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import { configKey, START_STACK } from "../../names";
import { secretReader } from "../doctor/secrets";
import { presentGpuPrices } from "./gpuPrices";
import type { GpuPrices } from "./inference";
import { AWS_PRICE_REGION, awsPriceSource } from "./prices/aws";
import { llmPriceSource, llmPrices } from "./prices/llm";
import type { PriceSource } from "./prices/source";
import { countResources, type ProgramFacts } from "./resources";

/** A stack whose costs are estimated. */
export interface EvaluatedStack {
  config: PlainConfig & { stack: string };
  program: ProgramFacts;
  gpuPrices: GpuPrices;
  /** Origins of the prices. */
  sources: PriceSource[];
  /** Facts that make the estimate less sure. */
  notes: string[];
}

/**
 * Evaluates the program with a stack's configuration in a temporary local cloud, and reads the prices.
 *
 * @param overrides configuration values by path
 * @throws Error that names the unknown stack or the bad value
 */
export async function evaluateStack(
  stack: string,
  overrides: Record<string, unknown>,
  progress: PreviewProgress,
  env: NodeJS.ProcessEnv = process.env,
): Promise<EvaluatedStack> {
  const programDir = process.cwd();
  const file = stack === START_STACK ? "local" : stack;
  const given = readStackConfig(programDir, file, overrides);
  const { config, problems = [] } = parsePlainConfig((key) => given.values[configKey(key)]);
  if (!config) throw new Error(`Pulumi.${file}.yaml is not valid:${problems.map((line) => `\n  ${line}`).join("")}`);
  const notes = [...regionNote(given), ...llmNotes(config)];
  progress.step("Reading the prices …");
  const apiKey = await runpodKey({ stack, programDir }, given, env);
  const gpu = await presentGpuPrices(config.runpodApiUrl, apiKey);
  const { resources } = await previewStack(stack, { overrides, isChange: false }, progress);
  return {
    config: { ...config, stack },
    program: countResources(resources),
    gpuPrices: gpu.prices,
    sources: [gpu.source, llmPriceSource, awsPriceSource],
    notes: [...notes, ...gpu.notes],
  };
}

/** RunPod's key from the environment, the stack's file or the pulumi command. */
async function runpodKey(
  of: { stack: string; programDir: string },
  { values, encryptedKeys }: StackConfig,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const plain = (key: string) => values[configKey(key)];
  const isEncrypted = (key: string) => encryptedKeys.includes(configKey(key));
  const secret = await secretReader(of, { plain, isEncrypted }, env)("runpodApiKey", "RUNPOD_API_KEY");
  return typeof secret === "object" ? secret.key : undefined;
}

function regionNote({ values }: StackConfig): string[] {
  const region = values["aws:region"];
  if (region === AWS_PRICE_REGION) return [];
  return [`The stack is in ${region ?? "no Region"}, but the AWS prices are those of ${AWS_PRICE_REGION}.`];
}

/** Configured prices of external LLMs that differ from the list prices. */
function llmNotes({ vip }: PlainConfig): string[] {
  return vip.providers.flatMap((provider) => {
    const { model, usdPerMillionTokens: own } = vip[provider] ?? {};
    if (!model || !own) return [];
    const listed = llmPrices[provider]?.[model];
    if (!listed)
      return [`No list price is known for ${provider} ${model}: vip.${provider}.usdPerMillionTokens is used.`];
    if (listed.input === own.input && listed.output === own.output) return [];
    return [
      `vip.${provider}.usdPerMillionTokens is ${own.input} and ${own.output}, but ${model} costs ${listed.input} and ` +
        `${listed.output} (${llmPriceSource.date}). The configured prices are used.`,
    ];
  });
}

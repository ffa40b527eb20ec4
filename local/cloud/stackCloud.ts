import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { models } from "../../contract/plan";
import { placeholderOf, secretKeys } from "../../infra/configSchema";
import { configKey, START_STACK } from "../../names";
import { type EngineOptions, type StepEvent, up } from "../pulumi/engine";
import { type ResourceState, StackState } from "../pulumi/state";
import { readStackConfig, type StackConfig } from "../support/stackConfig";
import { startLocalCloud } from "./cloud";
import { engineOptions } from "./program";

/** A stack whose program runs in a temporary local cloud. */
export interface StackOptions {
  /** Name of the stack. */
  stack: string;
  /** Stack whose `Pulumi.<stack>.yaml` is read. Default: `stack`. */
  configOf?: string;
  /** Called after each resource. */
  onStep?: (step: StepEvent) => void;
}

const programDir = process.cwd();

/**
 * Starts a temporary local cloud in the Region of a stack, calls `use`, and then removes the local cloud.
 *
 * @param use gets a function that returns the engine's options for the stack with overrides of its configuration, by
 * path
 */
export async function inStackCloud<T>(
  { stack, configOf = stack, onStep }: StackOptions,
  use: (options: (overrides: Record<string, unknown>) => EngineOptions) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-preview-"));
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true, config: regionOf(configOf) });
  const config = (overrides: Record<string, unknown> = {}) =>
    configOf === START_STACK ? cloud.config(overrides) : localConfig(configOf, cloud.config(), overrides);
  try {
    return await use((overrides) => ({
      ...engineOptions({ config, providers: cloud.providers }, programDir, dir, overrides, stack),
      ...(onStep && { onStep }),
    }));
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Evaluates the program: creates the stack in a temporary local cloud, so that all values are known.
 *
 * @param overrides values of the configuration by path
 * @returns all resources with their inputs and outputs
 */
export async function evaluateStack(
  options: StackOptions,
  overrides: Record<string, unknown> = {},
): Promise<readonly ResourceState[]> {
  return inStackCloud(options, async (engine) => {
    const { stack } = options;
    const evaluated = engine({ runpodRolloutLimitMs: 0, "aws:defaultTags.tags.stack": stack, ...overrides });
    await up(evaluated);
    return new StackState(evaluated.statePath, false).all;
  });
}

/** The local cloud is in the stack's Region. */
function regionOf(stack: string): Record<string, unknown> {
  return stack === START_STACK ? {} : { "aws:region": readStackConfig(programDir, stack).values["aws:region"] };
}

/**
 * Configuration of a stack with the local cloud's URLs and keys, so that the program calls no other service and needs no
 * secret.
 */
function localConfig(stack: string, local: StackConfig, overrides: Record<string, unknown>): StackConfig {
  const { values, encryptedKeys } = readStackConfig(programDir, stack);
  const secrets = Object.keys(secretKeys).filter((key) =>
    [...Object.keys(values), ...encryptedKeys, configKey("runpodApiKey")].includes(configKey(key)),
  );
  // The registry of a temporary cloud is empty. The program therefore builds an image that the stack's real registry
  // already has.
  const rolledBack = models.flatMap((model) => {
    const { candidate, ...released } = JSON.parse(values[configKey(model)] ?? "{}");
    return Object.entries({ [model]: released, [`${model}.candidate`]: candidate ?? {} }).flatMap(
      ([path, { pushedTag }]) =>
        pushedTag === undefined
          ? []
          : [
              [`${path}.pushedTag`, undefined],
              [`${path}.imageTag`, pushedTag],
            ],
    );
  });
  const replaced = [
    ...rolledBack,
    ...["runpodApiUrl", "runpodJobApiUrl", "stripeApiUrl"].map((key) => [key, local.values[configKey(key)]]),
    ...secrets.map((key) => [key, local.values[configKey(key)] ?? placeholderOf(key)]),
  ];
  return readStackConfig(programDir, stack, {
    ...Object.fromEntries(replaced),
    runpodImageLookupMs: 0,
    ...overrides,
  });
}

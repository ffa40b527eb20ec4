import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { placeholderOf, secretKeys } from "../../infra/configSchema";
import { configKey, START_STACK } from "../../names";
import { preview, type ResourceState, type StepEvent, up } from "../pulumi/engine";
import { readStackConfig, type StackConfig } from "../support/stackConfig";
import { startLocalCloud } from "./cloud";
import { engineOptions } from "./program";

/** Receives the progress of a preview. */
export interface PreviewProgress {
  /** Starts a part that takes seconds. */
  step(text: string): void;
  /** Works on one resource. */
  activity(text: string): void;
}

/**
 * Previews the program in a temporary local cloud. Calls no other service and needs no secret.
 *
 * @param programDir folder of the program and its stacks' files
 * @param stack name of the stack
 * @param change.overrides configuration values by path, such as `phi3.imageTag`
 * @param change.isChange true: the stack is first created without the overrides, so that the preview shows their effect
 * @returns the steps of the preview, and every resource with its inputs
 * @throws Error that names the bad value of the configuration
 */
export async function previewStack(
  programDir: string,
  stack: string,
  { overrides, isChange }: { overrides: Record<string, unknown>; isChange: boolean },
  progress: PreviewProgress,
): Promise<{ steps: StepEvent[]; resources: readonly ResourceState[] }> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-preview-"));
  const onStep = ({ op, type, name }: StepEvent) => progress.activity(`${op} ${type} ${name}`);
  progress.step("Starting the local cloud …");
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true, config: regionOf(programDir, stack) });
  const config = (more: Record<string, unknown> = {}) =>
    stack === START_STACK ? cloud.config(more) : localConfig(programDir, stack, cloud.config(), more);
  const options = (more: Record<string, unknown>) => ({
    ...engineOptions({ config, providers: cloud.providers }, programDir, dir, more, stack),
    onStep,
  });
  try {
    if (isChange) {
      progress.step("Creating the stack without the change …");
      await up(options({}));
    }
    progress.step("Evaluating the program …");
    return await preview(options(overrides));
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The local cloud is in the stack's Region. */
function regionOf(programDir: string, stack: string): Record<string, unknown> {
  return stack === START_STACK ? {} : { "aws:region": readStackConfig(programDir, stack).values["aws:region"] };
}

/** Configuration of a stack with the local cloud's URLs and keys. */
function localConfig(
  programDir: string,
  stack: string,
  local: StackConfig,
  overrides: Record<string, unknown>,
): StackConfig {
  const { values, encryptedKeys } = readStackConfig(programDir, stack);
  const secrets = Object.keys(secretKeys).filter((key) =>
    [...Object.keys(values), ...encryptedKeys, configKey("runpodApiKey")].includes(configKey(key)),
  );
  const replaced = [
    ...["runpodApiUrl", "runpodJobApiUrl", "stripeApiUrl"].map((key) => [key, local.values[configKey(key)]]),
    ...secrets.map((key) => [key, local.values[configKey(key)] ?? placeholderOf(key)]),
  ];
  return readStackConfig(programDir, stack, {
    ...Object.fromEntries(replaced),
    runpodImageLookupMs: 0,
    ...overrides,
  });
}

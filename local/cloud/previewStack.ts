import { preview, type ResourceState, type StepEvent, up } from "../pulumi/engine";
import { inStackCloud } from "./stackCloud";

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
 * @param stack name of the stack
 * @param change.overrides configuration values by path, such as `phi3.imageTag`
 * @param change.isChange whether the stack is first created without the overrides, so that the preview shows only their
 * effect
 * @returns the steps of the preview, and every resource with its inputs
 * @throws Error that names the invalid value of the configuration
 */
export async function previewStack(
  stack: string,
  { overrides, isChange }: { overrides: Record<string, unknown>; isChange: boolean },
  progress: PreviewProgress,
): Promise<{ steps: StepEvent[]; resources: readonly ResourceState[] }> {
  const onStep = ({ op, type, name }: StepEvent) => progress.activity(`${op} ${type} ${name}`);
  progress.step("Starting the local cloud …");
  return inStackCloud({ stack, onStep }, async (options) => {
    if (isChange) {
      progress.step("Creating the stack without the change …");
      await up(options({}));
    }
    progress.step("Evaluating the program …");
    return preview(options(overrides));
  });
}

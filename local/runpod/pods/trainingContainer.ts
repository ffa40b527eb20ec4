import type { Switches } from "../account/switches";

/** Data of a pod for the program in its container. */
export interface ContainerContext {
  name: string;
  /** Environment with the values of the secrets. */
  env: Record<string, string>;
  failure: Switches["podFailure"];
  /** Aborted when the pod ends. */
  signal: AbortSignal;
  log(line: string): void;
  /** Waits for the duration of one step. Returns false when the pod has ended. */
  step(): Promise<boolean>;
}

/** Program of a container. `idle`: the program has finished, but the pod still runs. `killed`: the pod exits. */
export type Container = (context: ContainerContext) => Promise<"idle" | "killed">;

const STEPS = 5;
const FAILED_STEP = 3;

/**
 * Writes the log of the training image, without a training. `upload` stores the result where the real image uploads it.
 * Like the real image, the program never exits on its own, because RunPod would start it again.
 */
export async function trainingContainer(
  { name, env, failure, log, step }: ContainerContext,
  upload: (repository: string, run: string) => void = () => {},
): Promise<"idle" | "killed"> {
  log("snack-training: started");
  const { HF_TOKEN = "", RESULT_REPOSITORY = "" } = env;
  if (HF_TOKEN === "" || HF_TOKEN.includes("RUNPOD_SECRET_")) {
    log("snack-training: failed: Hugging Face refused the token (401)");
    return "idle";
  }
  for (let count = 1; count <= STEPS; count += 1) {
    if (!(await step())) return "killed";
    log(`step ${count} of ${STEPS}: loss ${(6 - count / 4).toFixed(3)}`);
    if (count !== FAILED_STEP || failure === null) continue;
    if (failure === "killed") return "killed";
    if (failure === "diskFull") log("snack-training: failed: [Errno 28] No space left on device");
    // RunPod starts a container again whose program has ended.
    else if (failure === "restarted") log("snack-training: started");
    // A silent program, for example one that waits for a lock.
    return "idle";
  }
  log("merging and exporting");
  if (!(await step())) return "killed";
  upload(RESULT_REPOSITORY, name);
  log("snack-training: finished");
  return "idle";
}

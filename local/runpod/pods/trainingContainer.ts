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

/** Verdict of the gates in the container, in the format of the report beside the weights. */
interface ContainerVerdict {
  model: string;
  mayBePromoted: boolean;
  openGates: string[];
  gates: { passed: number; failed: number; notMeasured: number; notJudged: number };
}

/** Stores a result at the place to which the real image uploads it. A result without a verdict has no report. */
export type Upload = (result: { repository: string; run: string; verdict: ContainerVerdict | undefined }) => void;

const STEPS = 5;
const FAILED_STEP = 3;
const FAILURES_OF_A_STEP: Switches["podFailure"][] = ["killed", "diskFull", "restarted", "silent"];
const GATES = 21;

/**
 * Writes the log of the training image, without a training. Like the real image, the program never exits, because
 * RunPod would start the program again.
 */
export async function trainingContainer(
  context: ContainerContext,
  upload: Upload = () => {},
): Promise<"idle" | "killed"> {
  const { env, log } = context;
  log("snack-training: started");
  const { HF_TOKEN = "" } = env;
  if (HF_TOKEN === "" || HF_TOKEN.includes("RUNPOD_SECRET_")) {
    log("snack-training: failed: Hugging Face refused the token (401)");
    return "idle";
  }
  return (await trainingSteps(context)) ?? (await judgeAndUpload(context, upload));
}

/** Writes the log of the steps of a training. After a failed step, returns how the container ends. */
async function trainingSteps({ failure, log, step }: ContainerContext): Promise<"idle" | "killed" | undefined> {
  for (let count = 1; count <= STEPS; count += 1) {
    if (!(await step())) return "killed";
    log(`step ${count} of ${STEPS}: loss ${(6 - count / 4).toFixed(3)}`);
    if (count !== FAILED_STEP || !FAILURES_OF_A_STEP.includes(failure)) continue;
    if (failure === "killed") return "killed";
    if (failure === "diskFull") log("snack-training: failed: [Errno 28] No space left on device");
    // RunPod restarts a container after the end of its program.
    else if (failure === "restarted") log("snack-training: started");
    // A silent program may be waiting, for example for a lock.
    return "idle";
  }
  return undefined;
}

async function judgeAndUpload(
  { name, env, failure, log, step }: ContainerContext,
  upload: Upload,
): Promise<"idle" | "killed"> {
  const { RESULT_REPOSITORY: repository = "", MODEL: model = "" } = env;
  log("merging and exporting");
  if (!(await step())) return "killed";
  for (const served of ["serving model", "candidate"]) {
    log(`${served}: starting vLLM`);
    if (!(await step())) return "killed";
  }
  const verdict = failure === "gatesKilled" ? undefined : verdictOf(model, env, failure);
  if (verdict) log(`gates: ${verdict.gates.passed} passed, ${verdict.gates.failed} failed`);
  else log("the gates were not applied: the evaluation ended with exit code -9");
  log(`uploading to ${repository}`);
  if (failure === "uploadFailed") {
    log("snack-training: failed: 503 Server Error: Service Unavailable for url: https://huggingface.co/api");
    return "idle";
  }
  upload({ repository, run: name, verdict });
  log("snack-training: finished");
  return "idle";
}

function verdictOf(model: string, env: Record<string, string>, failure: Switches["podFailure"]): ContainerVerdict {
  const openGates = failure === "gateFailed" ? ["no-empty-reply"] : [];
  const failed = openGates.length;
  // The gate `pairwise` needs a judge.
  const notMeasured = env.JUDGE_API_KEY ? 0 : 1;
  const gates = { passed: GATES - failed - notMeasured, failed, notMeasured, notJudged: 0 };
  return { model, mayBePromoted: failed === 0, openGates, gates };
}

import type { AdminCandidate } from "../../contract/admin";
import type { Model } from "../../contract/plan";
import { nextLine, printChange } from "../rollout/changeImage";
import { promoteInFile, removeFromFile } from "../rollout/endCandidate";
import type { ImageChange } from "../rollout/propose";
import { pulumiUp } from "../rollout/pulumiUp";
import type { Ask } from "./invoke";

/** Facts of the running stack that decide whether a candidate may be promoted. */
export type Proof = Pick<AdminCandidate, "image" | "is_ready" | "override" | "verdict" | "candidate">;

/** Options of the commands that end a candidate in the stack's file. */
export interface EndOptions {
  stack: string;
  propose?: boolean;
  json?: boolean;
}

/** Output of `canary <model> promote --json` and `canary <model> remove --json`. */
export interface EndedCandidate extends ImageChange {
  /** Whether `pulumi up` has applied the change. */
  isDeployed: boolean;
}

/**
 * Releases a candidate that has answered customers and was not rolled back.
 *
 * @param force releases the candidate without these checks
 * @throws Error when the stack's candidate is not ready, was aborted or rolled back, has no replies, or is not the
 *   candidate of the file
 */
export async function promote(
  ask: Ask,
  model: Model,
  { force, ...options }: EndOptions & { force?: boolean },
): Promise<EndedCandidate> {
  const check = force ? async () => {} : (image: string) => requireProven(ask, model, image);
  return deploy(await promoteInFile(model, options, check), options);
}

/** Removes a candidate, so that its endpoint is deleted. Throws as `removeFromFile`. */
export async function remove(model: Model, options: EndOptions): Promise<EndedCandidate> {
  return deploy(await removeFromFile(model, options), options);
}

/** Next step after the end of a candidate. The change is already printed. */
export function endedText(ended: EndedCandidate): string {
  return ended.isDeployed ? `Next: commit ${ended.file}` : nextLine(ended);
}

/** Deploys the changed file, except for a pull request, and for --json, because Pulumi asks the operator. */
async function deploy(change: ImageChange, { propose, json }: EndOptions): Promise<EndedCandidate> {
  if (!json) printChange(change);
  return { ...change, isDeployed: !propose && !json && (await pulumiUp(change.stack)) };
}

async function requireProven(ask: Ask, model: Model, image: string): Promise<void> {
  const found = await ask({ command: "candidate", model });
  const reason = unproven(found, image);
  if (reason)
    throw new Error(`The candidate ${image} of ${model} is not promoted. ${reason} --force promotes it anyway.`);
}

function unproven(found: Proof, image: string): string | undefined {
  const { image: deployed, is_ready, override, verdict, candidate } = found;
  if (deployed !== image) return `The stack has the candidate ${deployed}: run pulumi up first.`;
  if (!is_ready) return "None of its workers has answered yet.";
  if (override?.is_aborted) return `It was aborted at ${override.at}.`;
  if (override?.by === "verdict") return `It was rolled back at ${override.at}: ${override.reason}`;
  // At share 0 a bad verdict changes no share. So only the verdict itself shows the fault.
  if (verdict?.action === "rollback")
    return `Its verdict of ${verdict.at} is a rollback: ${verdict.reason} Find the fault with a tester first.`;
  if (candidate.replies === 0)
    return "It has answered no customer's chat in the last 30 minutes. Set a share above 0 and wait for chats.";
  return undefined;
}

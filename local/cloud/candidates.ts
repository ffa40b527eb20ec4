import type { Model } from "../../contract/plan";
import { Candidate } from "../../functions/core/canary/candidate";
import { START_STACK, stackNames } from "../../names";
import type { LocalCloud } from "./cloud";

const TYPE = "aws:ssm/parameter:Parameter";

/** The part of the local cloud that holds the candidates. */
type Cloud = Pick<LocalCloud, "aws">;

/** Reads a model's candidate in the stack of `npm start`. Undefined when there is none. */
export function readCandidate({ aws }: Cloud, model: Model): Candidate | undefined {
  const value = aws.account.get(TYPE, nameOf(model))?.outputs.value;
  return value === undefined ? undefined : Candidate.parse(JSON.parse(String(value)));
}

/** Moves everybody back to the released model, or ends that. */
export async function setAborted({ aws }: Cloud, model: Model, isAborted: boolean): Promise<void> {
  const found = aws.account.get(TYPE, nameOf(model));
  const candidate = readCandidate({ aws }, model);
  if (!found || !candidate) throw new Error(`${model} has no candidate`);
  const { override: _, ...rest } = candidate;
  const at = new Date().toISOString();
  const override = { share: 0, isAborted: true, replaces: rest.share, by: "operator", reason: "aborted", at };
  const value = JSON.stringify({ ...rest, ...(isAborted && { override }) });
  aws.account.put({ ...found, outputs: { ...found.outputs, value } });
}

function nameOf(model: Model): string {
  return `${stackNames(START_STACK).parameters.candidates}/${model}`;
}

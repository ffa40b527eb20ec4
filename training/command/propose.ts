import { readFileSync, writeFileSync } from "node:fs";
import type { Model } from "../../contract/plan";
import { ModelFacts } from "../../images/models";
import { type ChangedFile, openPullRequest } from "../../ops/rollout/pullRequest";
import { type Hub, type Pinned, REPORT } from "./runpod/hub";

/** Output of `npm run train -- propose --json`. `from` and `to` are `owner/name@commit`. */
export interface Proposal extends ChangedFile {
  model: Model;
  /** URL of the pull request. Only with --pull-request. */
  pullRequest?: string;
}

/**
 * Writes the repository and the commit of a retrained model to `images/<model>/model.json`. All other lines stay the
 * same.
 *
 * @throws Error when the new facts are not valid, or when nothing changes
 */
export function changeModel(model: Model, huggingFaceId: string, revision: string): Proposal {
  const file = `images/${model}/model.json`;
  const text = readFileSync(file, "utf8");
  const before = ModelFacts.parse(JSON.parse(text));
  const changed = withField(withField(text, "huggingFaceId", huggingFaceId), "revision", revision);
  const { error } = ModelFacts.safeParse(JSON.parse(changed));
  if (error) {
    const fields = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
    throw new Error(`${file} would not be valid: ${fields}`);
  }
  const [from, to] = [`${before.huggingFaceId}@${before.revision}`, `${huggingFaceId}@${revision}`];
  if (from === to) throw new Error(`${file} already has ${to}`);
  writeFileSync(file, changed);
  return { model, file, from, to };
}

/**
 * Checks the report that the pod has uploaded beside the weights.
 *
 * @throws Error when the commit hash is incomplete, the report is missing, the report is about another model, or a gate
 * has not passed
 */
export async function requireVerdict(hub: Hub, model: Model, result: Pinned): Promise<void> {
  if (!/^[0-9a-f]{40}$/.test(result.revision))
    throw new Error(`The commit ${result.revision} is not complete; allowed: 40 hexadecimal digits`);
  const place = `${result.repository}@${result.revision}`;
  const verdict = await hub.readVerdict(result);
  if (!verdict)
    throw new Error(
      `${place} has no report of the gates, or HF_TOKEN may not read it. Nothing was changed. Without a report, ` +
        "download the candidate, then run the steps measure, compare and gate of docs/training.md",
    );
  if (verdict.model !== model) throw new Error(`${place} is a ${verdict.model}, not a ${model}. Nothing was changed`);
  if (!verdict.mayBePromoted)
    throw new Error(`${place} has not passed every gate: ${verdict.openGates.join(", ")}. Nothing was changed`);
}

/**
 * Opens a pull request with the changed file. Returns the URL of the pull request. Throws the errors of
 * `openPullRequest`.
 */
export function proposeModel(proposal: Proposal): Promise<string> {
  const { model, to } = proposal;
  const version = to.split("@")[1]?.slice(0, 12);
  return openPullRequest(proposal, {
    branch: `retrain/${model}-${version}`,
    subject: `Use the retrained ${model} ${version}`,
    paragraphs: [
      `The candidate has passed its gates. Its report is \`${REPORT}.html\` in the repository of the weights.`,
    ],
  });
}

function withField(text: string, name: string, value: string): string {
  return text.replace(new RegExp(`("${name}": )"[^"]*"`), (_, start: string) => start + JSON.stringify(value));
}

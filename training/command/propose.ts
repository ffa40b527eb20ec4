import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import type { Model } from "../../contract/plan";
import { ModelFacts } from "../../images/models";

const execute = promisify(execFile);

/** Output of `npm run train -- propose --json`. */
export interface Proposal {
  model: Model;
  /** `images/<model>/model.json`. */
  file: string;
  /** `owner/name@commit` before and after. */
  from: string;
  to: string;
  /** URL of the pull request. Only with --pull-request. */
  pullRequest?: string;
}

/**
 * Writes the repository and the commit of a retrained model to `images/<model>/model.json`. The other lines do not change.
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

/** Commits the changed file on a new branch, pushes it and opens a pull request with gh. Returns its URL. */
export async function openPullRequest({ model, file, from, to }: Proposal): Promise<string> {
  const version = to.split("@")[1]?.slice(0, 12);
  const branch = `retrain/${model}-${version}`;
  const subject = `Use the retrained ${model} ${version}`;
  const body = `From \`${from}\` to \`${to}\`.\n\nMerge it only when the candidate has passed the gates: see docs/training.md.`;
  await tool("git", "switch", "--create", branch);
  await tool("git", "commit", "--message", subject, "--message", `From ${from} to ${to}.`, "--", file);
  await tool("git", "push", "origin", branch);
  const output = await tool("gh", "pr", "create", "--head", branch, "--title", subject, "--body", body);
  return output.trim().split("\n").at(-1) ?? "";
}

function withField(text: string, name: string, value: string): string {
  return text.replace(new RegExp(`("${name}": )"[^"]*"`), (_, start: string) => start + JSON.stringify(value));
}

async function tool(program: string, ...args: string[]): Promise<string> {
  return (await execute(program, args, { timeout: 120_000 })).stdout;
}

import type { Model } from "../../contract/plan";
import { runTool } from "./runTool";

/** Output of `npm run rollout -- --json` and `npm run rollback -- --json`. */
export interface ImageChange {
  stack: string;
  model: Model;
  /** `Pulumi.<stack>.yaml`. */
  file: string;
  from: string;
  to: string;
  /** Why the next `pulumi up` may fail, and what to do instead. */
  warning?: string;
  /** URL of the pull request. Only with --propose. */
  pullRequest?: string;
}

/** Longest subject of a commit. */
const SUBJECT_LIMIT = 72;

/**
 * Commits the changed file on a new branch, pushes the branch and opens a pull request.
 *
 * @returns the URL of the pull request
 * @throws Error with the message of git or gh. When gh failed, the branch exists
 */
export async function propose(verb: string, { stack, model, file, from, to, warning }: ImageChange): Promise<string> {
  const version = shortVersion(to);
  const branch = `${verb.toLowerCase().replace(" ", "-")}/${stack}-${model}-${version}`;
  const subject = `${verb} ${model} ${version} in ${stack}`.slice(0, SUBJECT_LIMIT);
  const body = [
    `From \`${from}\` to \`${to}\`.`,
    ...(warning ? [`**Warning:** ${warning}`] : []),
    `After the merge, run the workflow \`deploy\` for the stack ${stack}.`,
  ].join("\n\n");
  await runTool("git", ["switch", "--create", branch]);
  await runTool("git", ["commit", "--message", subject, "--message", `From ${from} to ${to}.`, "--", file]);
  await runTool("git", ["push", "origin", branch]);
  const created = runTool("gh", ["pr", "create", "--head", branch, "--title", subject, "--body", body]);
  const output = await created.catch((cause: Error) => {
    throw new Error(`${cause.message}. The branch ${branch} is pushed: open its pull request yourself`, { cause });
  });
  return output.split("\n").at(-1) ?? output;
}

/** The tag, or the first 12 digits of the digest. */
function shortVersion(image: string): string {
  const [, digest] = /@sha256:([0-9a-f]{12})/.exec(image) ?? [];
  return digest ?? image.split(/[/:]/).at(-1) ?? image;
}

import { runTool } from "./runTool";

/** A change of one file. */
export interface ChangedFile {
  /** Path of the file in the repository. */
  file: string;
  /** Value before and after the change. */
  from: string;
  to: string;
}

/** Texts of a pull request. */
export interface PullRequest {
  /** Preferred name of the branch. `openPullRequest` appends a number if this branch exists. */
  branch: string;
  /** Subject of the commit, and title of the pull request. */
  subject: string;
  /** Paragraphs of the pull request after the line with both values. */
  paragraphs: string[];
}

/**
 * Commits the changed file on a new branch, pushes the branch and opens a pull request.
 *
 * @returns the URL of the pull request
 * @throws Error with the message of git or gh. When gh failed, the branch exists
 */
export async function openPullRequest(
  { file, from, to }: ChangedFile,
  { branch: wanted, subject, paragraphs }: PullRequest,
): Promise<string> {
  const branch = await unusedBranch(wanted);
  const body = [`From \`${from}\` to \`${to}\`.`, ...paragraphs].join("\n\n");
  await runTool("git", ["switch", "--create", branch]);
  await runTool("git", ["commit", "--message", subject, "--message", `From ${from} to ${to}.`, "--", file]);
  await runTool("git", ["push", "origin", branch]);
  const created = runTool("gh", ["pr", "create", "--head", branch, "--title", subject, "--body", body]);
  const output = await created.catch((cause: Error) => {
    throw new Error(`${cause.message}. The branch ${branch} is pushed: open its pull request yourself`, { cause });
  });
  return output.split("\n").at(-1) ?? output;
}

/**
 * Returns a name that no branch has yet, here or at GitHub. A branch usually remains after its merge, and a later change can
 * go back to the same image.
 */
async function unusedBranch(wanted: string): Promise<string> {
  const [here, remote] = await Promise.all([
    runTool("git", ["for-each-ref", "--format=%(refname)", "refs/heads"]),
    runTool("git", ["ls-remote", "origin", "refs/heads/*"]),
  ]);
  const used = new Set([...`${here}\n${remote}`.matchAll(/refs\/heads\/(.+)$/gm)].map(([, name]) => name));
  let branch = wanted;
  for (let number = 2; used.has(branch); number++) branch = `${wanted}-${number}`;
  return branch;
}

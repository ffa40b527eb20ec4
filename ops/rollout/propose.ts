import type { Model } from "../../contract/plan";
import { type ChangedFile, openPullRequest } from "./pullRequest";

/** Output of `npm run rollout -- --json` and `npm run rollback -- --json`. */
export interface ImageChange extends ChangedFile {
  stack: string;
  model: Model;
  /** URL of the pull request. Only with --propose. */
  pullRequest?: string;
}

/** Longest subject of a commit. */
const SUBJECT_LIMIT = 72;

/** Opens a pull request with the changed file. Returns its URL. Throws as `openPullRequest`. */
export function propose(verb: string, change: ImageChange): Promise<string> {
  const { stack, model, to } = change;
  const version = shortVersion(to);
  return openPullRequest(change, {
    branch: `${verb.toLowerCase().replace(" ", "-")}/${stack}-${model}-${version}`,
    subject: `${verb} ${model} ${version} in ${stack}`.slice(0, SUBJECT_LIMIT),
    paragraphs: [`After the merge, run the workflow \`deploy\` for the stack ${stack}.`],
  });
}

/** The tag, or the first 12 digits of the digest. */
function shortVersion(image: string): string {
  const [, digest] = /@sha256:([0-9a-f]{12})/.exec(image) ?? [];
  return digest ?? image.split(/[/:]/).at(-1) ?? image;
}

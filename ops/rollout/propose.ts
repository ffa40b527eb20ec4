import type { Model } from "../../contract/plan";
import { type ChangedFile, openPullRequest } from "./pullRequest";

/** Output of `npm run rollout -- --json` and `npm run rollback -- --json`. */
export interface ImageChange extends ChangedFile {
  stack: string;
  model: Model;
  /** Warning for the operator, to read before the update. */
  warning?: string;
  /** URL of the pull request. Only with --propose. */
  pullRequest?: string;
}

/** Beginning of a commit's subject. `Abort` removes a candidate: the change is from its image to the released one. */
export type Verb = "Roll out" | "Roll back" | "Promote" | "Abort";

/** Longest subject of a commit. */
const SUBJECT_LIMIT = 72;

/** Opens a pull request with the changed file. Returns its URL. Throws as `openPullRequest`. */
export function propose(verb: Verb, change: ImageChange): Promise<string> {
  const { stack, model, from, to, warning } = change;
  const version = shortVersion(verb === "Abort" ? from : to);
  return openPullRequest(change, {
    branch: `${verb.toLowerCase().replace(" ", "-")}/${stack}-${model}-${version}`,
    subject: `${verb} ${model} ${version} in ${stack}`.slice(0, SUBJECT_LIMIT),
    paragraphs: [
      ...(warning ? [`**Warning:** ${warning}`] : []),
      `After the merge, run the workflow \`deploy\` for the stack ${stack}.`,
    ],
  });
}

/** The tag, or the first 12 digits of the digest. */
function shortVersion(image: string): string {
  const [, digest] = /@sha256:([0-9a-f]{12})/.exec(image) ?? [];
  return digest ?? image.split(/[/:]/).at(-1) ?? image;
}

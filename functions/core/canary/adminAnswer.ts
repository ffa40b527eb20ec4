import type { AdminCandidate, VersionReplies } from "../../../contract/admin";
import type { Model } from "../../../contract/plan";
import { audienceOf, type Candidate, endpointIdOf } from "./candidate";
import { type CanaryState, stateOf } from "./state";
import { firstTextMs, type ReplyCounts, total } from "./verdict";

/** Sources of an answer about a candidate. */
interface AnswerSources {
  candidate: Candidate;
  state: CanaryState | undefined;
  replies: Record<"candidate" | "released", readonly ReplyCounts[]>;
}

/** Answer of the admin function about a model's candidate. */
export function candidateAnswer(model: Model, { candidate, state, replies }: AnswerSources): AdminCandidate {
  const { image, url, isReady, share: configured_share, override } = candidate;
  const { workers, verdict } = stateOf(candidate, state) ?? {};
  return {
    model,
    image,
    endpoint: endpointIdOf(url),
    is_ready: isReady,
    ...audienceOf(candidate),
    configured_share,
    override: override ? overrideOf(override) : null,
    verdict: verdict ?? null,
    candidate: repliesOf(replies.candidate),
    released: repliesOf(replies.released),
    workers: workers ?? null,
    events: state?.events ?? [],
  };
}

function overrideOf({ share, isAborted: is_aborted, by, reason, at }: NonNullable<Candidate["override"]>) {
  return { share, is_aborted, by, reason, at };
}

function repliesOf(slots: readonly ReplyCounts[]): VersionReplies {
  const { firstText, ...counts } = total(slots);
  const [p50, p95] = [firstTextMs(firstText, 0.5), firstTextMs(firstText, 0.95)];
  return { ...counts, first_text_ms: p50 !== undefined && p95 !== undefined ? { p50, p95 } : null };
}

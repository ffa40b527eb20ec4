import type { WorkerOutput } from "../../contract/worker";
import { firstTextBin, noReplies, type ReplyCounts } from "../core/canary/verdict";
import type { Call } from "../core/relay/attempts";
import type { Version } from "../tables/replyCounts";

/**
 * Observes one chat while the model has a candidate. The chat counts for the version that was chosen for the user. If
 * the candidate was chosen but the released model answers, the chat counts as a failure of the candidate.
 */
export class VersionWatch {
  /** All calls of the chat, also to other models. */
  calls: readonly Call[] = [];
  private output: WorkerOutput | undefined;
  private isInvalid = false;
  private isStarted = false;

  /** @param isTester whether the user is a tester. Of testers, only a reply that breaks the contract counts */
  constructor(
    readonly version: Version,
    private readonly isTester: boolean,
  ) {}

  /** Receives each result of the version's workers, and undefined for an item that breaks the contract. */
  readonly observe = (output: WorkerOutput | undefined): void => {
    if (output) this.output = output;
    else this.isInvalid = true;
  };

  /** A worker of the version has taken the job. */
  readonly start = (): void => {
    this.isStarted = true;
  };

  /**
   * Counts of this chat. Undefined when the version was not asked, for example because an external LLM has answered. Also
   * undefined when no worker took the job in time: a worker that has to start first says nothing about the version.
   *
   * @param isReply whether the chat ended with a reply, of any model
   */
  counts(isReply: boolean): ReplyCounts | undefined {
    const isCandidate = this.version.image !== undefined;
    const own = this.calls.filter(
      ({ provider }) => provider.name === "runpod" && (provider.isCandidate ?? false) === isCandidate,
    );
    const hadNoWorker = !this.isStarted && own.at(-1)?.failure === "timeout";
    if (own.length === 0 || hadNoWorker) return undefined;
    if (this.isTester) return this.isInvalid ? { ...noReplies(), invalid: 1 } : undefined;
    const last = this.calls.at(-1);
    const isAnswer = isReply && last !== undefined && own.includes(last);
    return {
      ...countsOf(this.output),
      replies: 1,
      failed: Number(!isAnswer),
      invalid: Number(this.isInvalid),
    };
  }
}

function countsOf(output: WorkerOutput | undefined): ReplyCounts {
  if (!output) return noReplies();
  const isEmpty = output.finish_reason === "filter" || output.text.trim() === "";
  const firstText = noReplies().firstText.with(firstTextBin(output.timings.ttft_ms), 1);
  return { ...noReplies(), empty: Number(isEmpty), firstText };
}

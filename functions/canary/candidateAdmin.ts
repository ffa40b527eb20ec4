import type { AdminCandidate } from "../../contract/admin";
import { ApiError } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { candidateAnswer } from "../core/canary/adminAnswer";
import type { Candidate } from "../core/canary/candidate";
import { type CandidateSettings, createCandidateStore } from "../lib/candidates";
import { createCanaryStates } from "../tables/canaryStates";
import { createReplyCounts } from "../tables/replyCounts";

/** Commands of an operator for candidates. Each throws ApiError `invalid_input` for a model without a candidate. */
export interface CandidateAdmin {
  show(model: Model): Promise<AdminCandidate>;
  /** Sets the share in percent. The configured share applies without an override. */
  setShare(model: Model, share: number): Promise<AdminCandidate>;
  /** Returns all users to the released model, testers included. */
  abort(model: Model): Promise<AdminCandidate>;
}

/** Changes the parameter of a candidate, so that a change takes effect within seconds. */
export function createCandidateAdmin(settings: CandidateSettings & { ephemeralTable: string }): CandidateAdmin {
  const candidates = createCandidateStore(settings);
  const states = createCanaryStates(settings.ephemeralTable);
  const counts = createReplyCounts(settings.ephemeralTable);

  async function answer(model: Model, candidate: Candidate | undefined): Promise<AdminCandidate> {
    if (!candidate) {
      const next = `set ${model}.candidate in the stack's configuration, and run pulumi up`;
      throw new ApiError("invalid_input", `model: ${model} has no candidate: ${next}`);
    }
    const now = new Date();
    const read = (image?: string) => counts.read({ model, ...(image && { image }) }, new Date(0), now);
    const [state, own, released] = await Promise.all([states.read(model), read(candidate.image), read()]);
    return candidateAnswer(model, { candidate, state, replies: { candidate: own, released } });
  }

  return {
    show: async (model) => answer(model, await candidates.read(model)),

    async setShare(model, share) {
      const to = { share, isAborted: false, reason: `An operator set the share to ${share}%.` };
      const changed = await candidates.change(model, (stored) =>
        stored.share === share ? withoutOverride(stored) : override(stored, to),
      );
      return answer(model, changed);
    },

    async abort(model) {
      const to = { share: 0, isAborted: true, reason: "An operator aborted the candidate." };
      return answer(model, await candidates.change(model, (stored) => override(stored, to)));
    },
  };
}

function withoutOverride({ override: _, ...configured }: Candidate): Candidate {
  return configured;
}

type Override = NonNullable<Candidate["override"]>;

function override(stored: Candidate, to: Pick<Override, "share" | "isAborted" | "reason">): Candidate {
  return { ...stored, override: { ...to, replaces: stored.share, by: "operator", at: new Date().toISOString() } };
}

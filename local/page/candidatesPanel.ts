import type { AdminCandidate } from "../../contract/admin";
import type { Model } from "../../contract/plan";

/** Faults of a candidate on the page, in display order. `none`: the candidate has no fault. */
export const candidateFaults = ["none", "failed", "empty", "invalid", "slow", "crash", "noGpus"] as const;
export type CandidateFault = (typeof candidateFaults)[number];

/** A user, and the version of the model that answers the user's chats. */
export interface UserVersion {
  /** E-mail address of a seeded customer. Undefined for a visitor who is not a seeded customer. */
  email?: string;
  isVisitor: boolean;
  isCandidate: boolean;
}

/** A model's candidate, the versions of both images, and the users of both versions. */
export interface CandidateView {
  candidate: AdminCandidate;
  /** Versions of the images. */
  versions: Record<"candidate" | "released", string>;
  users: UserVersion[];
  fault: CandidateFault;
}

/** Candidates of all models: the answer of `GET /candidates` and of every `POST /candidates/<action>`. */
export interface CandidatesState {
  candidates: CandidateView[];
}

/** The panel's actions on candidates. */
export interface CandidatesPanel {
  /** @param visitor user id of the page's visitor */
  state(visitor: string | undefined): Promise<CandidatesState>;
  /** Sets the share of the customers, in percent. */
  setShare(model: Model, share: number): Promise<void>;
  abort(model: Model): Promise<void>;
  setFault(model: Model, fault: CandidateFault): void;
}

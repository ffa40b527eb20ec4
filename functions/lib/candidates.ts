import { GetParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { ApiError } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { Candidate, type FindCandidate } from "../core/canary/candidate";
import { createAlarms } from "./alarms";
import { causesText } from "./causes";
import { awsClientLimits, dependency } from "./dependency";

/** Cache lifetime. A new share takes effect within this time. */
const CACHE_MS = 10_000;

/** Where the candidates are. */
export interface CandidateSettings {
  /** Path in Parameter Store. `<path>/<model>` is a model's candidate, and does not exist without a candidate. */
  candidatesPath: string;
}

/**
 * Reads candidates from Parameter Store. When a parameter cannot be read, the last known candidate counts, and without one
 * the released model: a failure here must not end a chat. The failure raises an alarm.
 */
export function createCandidates(settings: CandidateSettings): FindCandidate {
  const { read } = createParameter(settings);
  const alarm = createAlarms();
  const cache = new Map<Model, { found: Promise<Candidate | undefined>; readAt: number }>();
  return (model) => {
    const known = cache.get(model);
    if (known && Date.now() - known.readAt < CACHE_MS) return known.found;
    const found = read(model).then(
      (one) => one?.candidate,
      (error: unknown) => {
        alarm("candidate_unreadable", { model, cause: causesText(error) });
        return known?.found;
      },
    );
    cache.set(model, { found, readAt: Date.now() });
    return found;
  };
}

/**
 * Candidates for the functions that change them. Both methods reject with ApiError `unavailable` when Parameter Store does
 * not answer or the parameter is not valid.
 */
export interface CandidateStore {
  /** Reads a model's candidate. Undefined when there is none. */
  read(model: Model): Promise<Candidate | undefined>;
  /**
   * Changes a candidate. The change gets the stored candidate, and undefined as its result changes nothing.
   *
   * @returns the candidate after the change; undefined when there is none
   * @throws ApiError `conflict` when another function has changed the candidate at the same time
   */
  change(model: Model, change: (stored: Candidate) => Candidate | undefined): Promise<Candidate | undefined>;
}

/** Reads and writes candidates in Parameter Store, without a cache. */
export function createCandidateStore(settings: CandidateSettings): CandidateStore {
  const { read, write } = createParameter(settings);
  const find = (model: Model) => dependency("parameter store", read(model));
  return {
    read: async (model) => (await find(model))?.candidate,

    async change(model, change) {
      const stored = await find(model);
      const changed = stored && change(stored.candidate);
      if (!changed) return stored?.candidate;
      const version = await dependency("parameter store", write(model, changed));
      // Parameter Store has no conditional write, so a lost change of another writer is only found afterwards.
      if (version !== stored.version + 1)
        throw new ApiError("conflict", `Two changes of the candidate of ${model} came at the same time. Repeat yours.`);
      return changed;
    },
  };
}

/** The parameter of a candidate, with the version that Parameter Store counts. */
function createParameter({ candidatesPath }: CandidateSettings) {
  const client = new SSMClient(awsClientLimits);
  const nameOf = (model: Model) => `${candidatesPath}/${model}`;
  return {
    async read(model: Model): Promise<{ candidate: Candidate; version: number } | undefined> {
      const command = new GetParametersCommand({ Names: [nameOf(model)], WithDecryption: false });
      const [found] = (await client.send(command)).Parameters ?? [];
      if (found?.Value === undefined) return undefined;
      return { candidate: Candidate.parse(JSON.parse(found.Value)), version: found.Version ?? 0 };
    },

    async write(model: Model, candidate: Candidate): Promise<number> {
      // Without a type, AWS refuses to create a parameter that `pulumi up` has just deleted.
      const put = new PutParameterCommand({ Name: nameOf(model), Value: JSON.stringify(candidate), Overwrite: true });
      return (await client.send(put)).Version ?? 0;
    },
  };
}

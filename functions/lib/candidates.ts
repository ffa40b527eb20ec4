import { GetParametersCommand, PutParameterCommand, SSMClient, type SSMClientConfig } from "@aws-sdk/client-ssm";
import { ApiError } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { Candidate, type FindCandidate } from "../core/canary/candidate";
import { createAlarms } from "./alarms";
import { causesText } from "./causes";
import { awsClientLimits, dependency } from "./dependency";

/** Cache lifetime. A new share takes effect within this time. */
const CACHE_MS = 10_000;
/** Longest use of a candidate that can no longer be read. */
const KEEP_MS = 60_000;
/** Limits of a read during a chat: one short attempt, because the released model can answer instead. */
const chatLimits = {
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 500, requestTimeout: 500, throwOnRequestTimeout: true },
} as const;

/** Where the candidates are. */
export interface CandidateSettings {
  /** Path in Parameter Store. `<path>/<model>` is a model's candidate, and does not exist without a candidate. */
  candidatesPath: string;
}

/**
 * Reads candidates from Parameter Store. When Parameter Store does not answer, returns the last known candidate for at
 * most 60 s, and then undefined. When a parameter is not valid, returns undefined at once. A failed read never ends a
 * chat, and raises an alarm.
 */
export function createCandidates(settings: CandidateSettings): FindCandidate {
  const { read } = createParameter(settings, chatLimits);
  const alarm = createAlarms();
  const cache = new Map<Model, { found: Promise<Candidate | undefined>; readAt: number }>();
  const known = new Map<Model, { candidate: Candidate | undefined; readAt: number }>();

  async function find(model: Model): Promise<Candidate | undefined> {
    try {
      const candidate = (await read(model))?.candidate;
      known.set(model, { candidate, readAt: Date.now() });
      return candidate;
    } catch (error) {
      alarm("candidate_unreadable", { model, cause: causesText(error) });
      const last = known.get(model);
      if (last && !(error instanceof InvalidCandidate) && Date.now() - last.readAt < KEEP_MS) return last.candidate;
      known.delete(model);
      return undefined;
    }
  }

  return (model) => {
    const cached = cache.get(model);
    if (cached && Date.now() - cached.readAt < CACHE_MS) return cached.found;
    const found = find(model);
    cache.set(model, { found, readAt: Date.now() });
    return found;
  };
}

/**
 * Candidates for the functions that change them. Both methods reject with ApiError `unavailable` when Parameter Store
 * does not answer or the parameter is not valid.
 */
export interface CandidateStore {
  /** Reads a model's candidate. Returns undefined for a model without a candidate. */
  read(model: Model): Promise<Candidate | undefined>;
  /**
   * Changes a candidate. Writes nothing when `change` returns undefined.
   *
   * @param failSafe returns the candidate to write after a conflict, because the first write may have replaced an abort
   * @returns the candidate after the change; undefined for a model without a candidate
   * @throws ApiError `conflict` when another function has changed the candidate at the same time
   */
  change(
    model: Model,
    change: (stored: Candidate) => Candidate | undefined,
    failSafe?: (changed: Candidate) => Candidate,
  ): Promise<Candidate | undefined>;
}

/** Reads and writes candidates in Parameter Store, without a cache. */
export function createCandidateStore(settings: CandidateSettings): CandidateStore {
  const { read, write } = createParameter(settings, awsClientLimits);
  const find = (model: Model) => dependency("parameter store", read(model));
  return {
    read: async (model) => (await find(model))?.candidate,

    async change(model, change, failSafe) {
      const stored = await find(model);
      const changed = stored && change(stored.candidate);
      if (!changed) return stored?.candidate;
      const version = await dependency("parameter store", write(model, changed));
      // Parameter Store has no conditional write, so a lost change of another writer is only found afterwards.
      if (version === stored.version + 1) return changed;
      if (failSafe) await dependency("parameter store", write(model, failSafe(changed)));
      throw new ApiError("conflict", `Two changes of the candidate of ${model} came at the same time. Repeat yours.`);
    },
  };
}

/** The value of a parameter is not a candidate. */
class InvalidCandidate extends Error {
  override readonly name = "InvalidCandidate";
}

function parseCandidate(value: string): Candidate {
  try {
    return Candidate.parse(JSON.parse(value));
  } catch (cause) {
    throw new InvalidCandidate("The parameter is not valid", { cause });
  }
}

/** The parameter of a candidate, with the version that Parameter Store counts. */
function createParameter({ candidatesPath }: CandidateSettings, limits: SSMClientConfig) {
  const client = new SSMClient(limits);
  const nameOf = (model: Model) => `${candidatesPath}/${model}`;
  return {
    async read(model: Model): Promise<{ candidate: Candidate; version: number } | undefined> {
      const command = new GetParametersCommand({ Names: [nameOf(model)], WithDecryption: false });
      const [found] = (await client.send(command)).Parameters ?? [];
      if (found?.Value === undefined) return undefined;
      return { candidate: parseCandidate(found.Value), version: found.Version ?? 0 };
    },

    async write(model: Model, candidate: Candidate): Promise<number> {
      // Without a type, AWS refuses to create a parameter that `pulumi up` has just deleted.
      const put = new PutParameterCommand({ Name: nameOf(model), Value: JSON.stringify(candidate), Overwrite: true });
      return (await client.send(put)).Version ?? 0;
    },
  };
}

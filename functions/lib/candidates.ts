import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import type { Model } from "../../contract/plan";
import { Candidate, type FindCandidate } from "../core/canary/candidate";
import { awsClientLimits } from "./dependency";

/** Cache lifetime. A new share takes effect within this time. */
const CACHE_MS = 10_000;

/** Where the candidates are. */
export interface CandidateSettings {
  /** Path in Parameter Store. `<path>/<model>` is a model's candidate, and does not exist without a candidate. */
  candidatesPath: string;
}

/**
 * Reads candidates from Parameter Store. When a parameter cannot be read, the last known candidate counts, and without one
 * the released model: a failure here must not end a chat.
 */
export function createCandidates({ candidatesPath }: CandidateSettings): FindCandidate {
  const client = new SSMClient(awsClientLimits);
  const cache = new Map<Model, { found: Promise<Candidate | undefined>; readAt: number }>();
  const read = async (model: Model) => {
    const command = new GetParametersCommand({ Names: [`${candidatesPath}/${model}`], WithDecryption: false });
    const { Parameters } = await client.send(command);
    const value = Parameters?.[0]?.Value;
    return value === undefined ? undefined : Candidate.parse(JSON.parse(value));
  };
  return (model) => {
    const known = cache.get(model);
    if (known && Date.now() - known.readAt < CACHE_MS) return known.found;
    const found = read(model).catch((error: unknown) => {
      console.error({ candidate: model, cause: error instanceof Error ? error.name : typeof error });
      return known?.found;
    });
    cache.set(model, { found, readAt: Date.now() });
    return found;
  };
}

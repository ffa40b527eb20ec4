import type { JWK } from "jose";
import type { SessionSources } from "../core/session";
import { type CandidateSettings, createCandidates } from "./candidates";
import { createParameters, PASSED_ON_MS } from "./parameters";

/** Settings of the functions that open sessions: names, never a secret. */
export interface SessionSettings extends CandidateSettings {
  ticketIssuer: string;
  /** SSM parameter with the private JWK that signs tickets. */
  signingKeyParameter: string;
}

/** Session sources backed by Parameter Store. */
export function createSessionSources(settings: SessionSettings): SessionSources {
  const parameter = createParameters();
  return {
    ticketIssuer: settings.ticketIssuer,
    signingKey: async () => JSON.parse(await parameter(settings.signingKeyParameter, PASSED_ON_MS)) as JWK,
    browserKey: (name) => parameter(name, PASSED_ON_MS),
    candidate: createCandidates(settings),
  };
}

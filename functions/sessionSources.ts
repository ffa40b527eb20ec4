import type { JWK } from "jose";
import type { Model } from "../contract/plan";
import type { SessionSources } from "./core/session";
import { createParameters } from "./parameters";

/** What the program hands to the functions that open sessions. Names and URLs only: no secret. */
export interface SessionSettings {
  ticketIssuer: string;
  /** SSM parameter with the private JWK that signs tickets. */
  signingKeyParameter: string;
  inferenceUrls: Record<Model, string>;
  /** SSM parameters with each endpoint's browser key; a model without one cannot be reached directly. */
  browserKeyParameters: Partial<Record<Model, string>>;
}

/** The sources of a session, read from Parameter Store. */
export function createSessionSources(settings: SessionSettings): SessionSources {
  const parameter = createParameters();
  return {
    ticketIssuer: settings.ticketIssuer,
    inferenceUrls: settings.inferenceUrls,
    signingKey: async () => JSON.parse(await parameter(settings.signingKeyParameter)) as JWK,
    browserKey: async (model) => {
      const name = settings.browserKeyParameters[model];
      return name && parameter(name);
    },
  };
}

import type { JWK } from "jose";
import type { Model } from "../../contract/plan";
import type { SessionSources } from "../core/session";
import { createParameters } from "./parameters";

/** Settings of the functions that open sessions: names and URLs, never a secret. */
export interface SessionSettings {
  ticketIssuer: string;
  /** SSM parameter with the private JWK that signs tickets. */
  signingKeyParameter: string;
  /** The models that browsers reach directly. */
  direct: Partial<Record<Model, DirectInference>>;
}

/** A model that browsers reach directly. */
export interface DirectInference {
  /** Base URL of the endpoint's job API, `https://api.runpod.ai/v2/<endpoint id>`. */
  url: string;
  /** SSM parameter with the RunPod key restricted to its endpoint. */
  browserKeyParameter: string;
}

/** Session sources backed by Parameter Store. */
export function createSessionSources(settings: SessionSettings): SessionSources {
  const parameter = createParameters();
  return {
    ticketIssuer: settings.ticketIssuer,
    signingKey: async () => JSON.parse(await parameter(settings.signingKeyParameter)) as JWK,
    inference: async (model) => {
      const direct = settings.direct[model];
      return direct && { url: direct.url, authorization: `Bearer ${await parameter(direct.browserKeyParameter)}` };
    },
  };
}

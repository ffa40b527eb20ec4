import type { JWK } from "jose";
import { type Model, type Plan, planModels } from "../../contract/plan";
import type { SessionResponse } from "../../contract/session";
import { endpointIdOf, type FindCandidate, isChosen } from "./canary/candidate";
import { planLimits } from "./planLimits";
import { signTicket } from "./ticket";

/**
 * Address to which browsers send the chats of a plan. `relay` needs no key, because the relay has the keys of the
 * models.
 */
export type Route =
  | { kind: "relay"; url: string }
  /** The endpoint's job API, with the RunPod key for browsers in an SSM parameter. A candidate answers over the relay. */
  | { kind: "runpod"; url: string; browserKeyParameter: string; relayUrl: string };

/** External values needed to open a session. */
export interface SessionSources {
  /** `iss` of the tickets, `snack-misaki/<stack>`. */
  ticketIssuer: string;
  /** Private Ed25519 JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** Reads a browser key by the name of its parameter. */
  browserKey(parameter: string): Promise<string>;
  candidate: FindCandidate;
}

/**
 * Opens a chat session: chooses the model of the plan, and signs a ticket for it. A customer of a candidate always gets
 * the relay, because browsers have no key for the candidate's endpoint, and because the relay can fall back.
 *
 * @param customer `household` is set for a guest. `correlationId` is the id of the API's request. The ticket carries
 *   this id to the relay and the worker
 */
export async function openSession(
  customer: { userId: string; plan: Plan; correlationId: string; household?: string },
  route: Route,
  sources: SessionSources,
  now: Date,
): Promise<SessionResponse> {
  const model = planModels[customer.plan];
  const limits = planLimits[customer.plan];
  const { userId: sub, plan, correlationId: correlation_id, household } = customer;
  const [key, direct] = await Promise.all([
    sources.signingKey(),
    route.kind === "runpod" ? openDirect(sub, model, route, sources) : undefined,
  ]);
  const grant = {
    iss: sources.ticketIssuer,
    sub,
    aud: model,
    plan,
    limits,
    correlation_id,
    ...(household && { household }),
    ...(direct?.endpoint && { endpoint: direct.endpoint }),
  };
  const { ticket, expiresAt } = await signTicket(grant, key, now);
  return {
    user_id: customer.userId,
    plan: customer.plan,
    model,
    inference: direct
      ? { kind: "runpod", url: route.url, authorization: `Bearer ${direct.browserKey}` }
      : { kind: "relay", url: route.kind === "relay" ? route.url : route.relayUrl, authorization: `Bearer ${ticket}` },
    ticket,
    ticket_expires_at: expiresAt.toISOString(),
    limits,
  };
}

/**
 * Opens the direct way to the released endpoint. The ticket is for this endpoint only while the model has a candidate.
 *
 * @returns undefined when the candidate answers the user
 */
async function openDirect(
  userId: string,
  model: Model,
  { url, browserKeyParameter }: Extract<Route, { kind: "runpod" }>,
  sources: SessionSources,
): Promise<{ browserKey: string; endpoint: string | undefined } | undefined> {
  const [candidate, browserKey] = await Promise.all([
    sources.candidate(model),
    sources.browserKey(browserKeyParameter),
  ]);
  if (candidate && isChosen(model, candidate, userId)) return undefined;
  return { browserKey, endpoint: candidate && endpointIdOf(url) };
}

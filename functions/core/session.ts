import type { JWK } from "jose";
import { type Plan, planModels } from "../../contract/plan";
import type { SessionResponse } from "../../contract/session";
import { planLimits } from "./planLimits";
import { signTicket } from "./ticket";

/**
 * Address to which browsers send the chats of a plan. `relay` needs no key, because the relay has the keys of the
 * models.
 */
export type Route =
  | { kind: "relay"; url: string }
  /** The endpoint's job API, with the RunPod key for browsers in an SSM parameter. */
  | { kind: "runpod"; url: string; browserKeyParameter: string };

/** External values needed to open a session. */
export interface SessionSources {
  /** `iss` of the tickets, `snack-misaki/<stack>`. */
  ticketIssuer: string;
  /** Private Ed25519 JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** Reads a browser key by the name of its parameter. */
  browserKey(parameter: string): Promise<string>;
}

/**
 * Opens a chat session: chooses the model of the plan, and signs a ticket for it.
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
  const [key, browserKey] = await Promise.all([
    sources.signingKey(),
    route.kind === "runpod" ? sources.browserKey(route.browserKeyParameter) : undefined,
  ]);
  const { userId: sub, plan, correlationId: correlation_id, household } = customer;
  const grant = {
    iss: sources.ticketIssuer,
    sub,
    aud: model,
    plan,
    limits,
    correlation_id,
    ...(household && { household }),
  };
  const { ticket, expiresAt } = await signTicket(grant, key, now);
  return {
    user_id: customer.userId,
    plan: customer.plan,
    model,
    inference: { kind: route.kind, url: route.url, authorization: `Bearer ${browserKey ?? ticket}` },
    ticket,
    ticket_expires_at: expiresAt.toISOString(),
    limits,
  };
}

import type { JWK } from "jose";
import { ApiError } from "../../contract/errors";
import { type Model, type Plan, planModels } from "../../contract/plan";
import type { Inference, SessionResponse } from "../../contract/session";
import { planLimits } from "./planLimits";
import { signTicket } from "./ticket";

/** External values needed to open a session. */
export interface SessionSources {
  /** `iss` of the tickets, `snack-misaki/<stack>`. */
  ticketIssuer: string;
  /** Private Ed25519 JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** URL and authorization of a model; undefined when browsers cannot reach it. */
  inference(model: Model): Promise<Inference | undefined>;
}

/**
 * Opens a chat session: chooses the model and its URL, and signs a ticket for it.
 *
 * @throws ApiError `unavailable` when the operator has configured no browser key for the model
 */
export async function openSession(
  customer: { userId: string; plan: Plan },
  sources: SessionSources,
  now: Date,
): Promise<SessionResponse> {
  const model = planModels[customer.plan];
  const limits = planLimits[customer.plan];
  const [key, inference] = await Promise.all([sources.signingKey(), sources.inference(model)]);
  if (!inference) throw new ApiError("unavailable", undefined, { cause: `no browser key is configured for ${model}` });
  const grant = { iss: sources.ticketIssuer, sub: customer.userId, aud: model, plan: customer.plan, limits };
  const { ticket, expiresAt } = await signTicket(grant, key, now);
  return {
    user_id: customer.userId,
    plan: customer.plan,
    model,
    inference,
    ticket,
    ticket_expires_at: expiresAt.toISOString(),
    limits,
  };
}

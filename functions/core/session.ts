import type { JWK } from "jose";
import { ApiError } from "../../contract/errors";
import type { Model, Plan } from "../../contract/plan";
import type { Inference, SessionResponse } from "../../contract/session";
import { planLimits, planModel } from "./limits";
import { signTicket } from "./ticket";

/** What opening a session needs from outside. */
export interface SessionSources {
  /** `iss` of the tickets, `snack-misaki/<stack>`. */
  ticketIssuer: string;
  /** Private Ed25519 JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** Where a model answers and what to send there; undefined for a model that browsers cannot reach. */
  inference(model: Model): Promise<Inference | undefined>;
}

/**
 * Opens a chat session: where to send messages, and a ticket to send with them.
 *
 * @throws ApiError `unavailable` when browsers cannot reach the model: the operator has configured no key for it
 */
export async function openSession(
  customer: { userId: string; plan: Plan },
  sources: SessionSources,
  now: Date,
): Promise<SessionResponse> {
  const model = planModel[customer.plan];
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

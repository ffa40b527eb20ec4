import type { JWK } from "jose";
import { ApiError } from "../../contract/errors";
import type { Model, Plan } from "../../contract/plan";
import type { SessionResponse } from "../../contract/session";
import { planLimits, planModel } from "./limits";
import { signTicket } from "./ticket";

/** What opening a session needs from outside. */
export interface SessionSources {
  /** `iss` of the tickets, `snack-misaki/<stack>`. */
  ticketIssuer: string;
  /** Private Ed25519 JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** Job API base per model, `https://api.runpod.ai/v2/<endpoint id>`. */
  inferenceUrls: Readonly<Record<Model, string>>;
  /** The endpoint's own restricted RunPod key, undefined when the operator has not configured one. */
  browserKey(model: Model): Promise<string | undefined>;
}

/**
 * Opens a chat session: where to send messages, and a ticket to send with them.
 *
 * @throws ApiError `unavailable` when no browser key is configured for the model
 */
export async function openSession(
  customer: { userId: string; plan: Plan },
  sources: SessionSources,
  now: Date,
): Promise<SessionResponse> {
  const model = planModel[customer.plan];
  const limits = planLimits[customer.plan];
  const [key, browserKey] = await Promise.all([sources.signingKey(), sources.browserKey(model)]);
  if (!browserKey) {
    throw new ApiError("unavailable", undefined, { cause: `no browser key is configured for ${model}` });
  }
  const grant = { iss: sources.ticketIssuer, sub: customer.userId, aud: model, plan: customer.plan, limits };
  const { ticket, expiresAt } = await signTicket(grant, key, now);
  return {
    user_id: customer.userId,
    plan: customer.plan,
    model,
    inference: { url: sources.inferenceUrls[model], authorization: `Bearer ${browserKey}` },
    ticket,
    ticket_expires_at: expiresAt.toISOString(),
    limits,
  };
}

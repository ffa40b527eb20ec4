import * as z from "zod/mini";
import { Limits, Model, Plan } from "./plan";

/** `typ` header of a ticket, so that no other JWT can pass for one. */
export const TICKET_TYPE = "snack-ticket+jwt";

/** Signature algorithm of a ticket: Ed25519 (RFC 8037). */
export const TICKET_ALGORITHM = "EdDSA";

/**
 * Claims of a ticket: a JWT that lets its holder use one model for about two minutes. It is signed by the auth API and
 * verified offline by the worker, before any GPU time is spent. Times are seconds since the epoch.
 */
export const TicketClaims = z.object({
  /** The issuing stack, `snack-misaki/<stack>`: a ticket of one environment is worthless in another. */
  iss: z.string(),
  /** Cognito `sub`, or `guest:<uuid>`. */
  sub: z.string(),
  /** The one model it is for. */
  aud: Model,
  plan: Plan,
  limits: Limits,
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
});
export type TicketClaims = z.infer<typeof TicketClaims>;

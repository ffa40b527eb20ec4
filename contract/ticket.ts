import * as z from "zod/mini";
import { Limits, Model, Plan } from "./plan";

/** `typ` header of a ticket. This type prevents the use of another kind of JWT as a ticket. */
export const TICKET_TYPE = "snack-ticket+jwt";

/** Beginning of a guest's user id, `guest:<uuid>`. */
export const guestPrefix = "guest:";

/** Signature algorithm of a ticket: Ed25519 (RFC 8037). */
export const TICKET_ALGORITHM = "EdDSA";

/**
 * Claims of a ticket: a JWT that lets its holder use one model for about two minutes. The auth API signs the ticket.
 * The worker verifies it offline, before it uses the GPU. Times are seconds since the epoch.
 */
export const TicketClaims = z.object({
  /** The issuing stack, `snack-misaki/<stack>`. A ticket of one stack is invalid in every other stack. */
  iss: z.string(),
  /** Cognito `sub`, or `guest:<uuid>`. */
  sub: z.string(),
  /** The only model that accepts the ticket. */
  aud: Model,
  plan: Plan,
  limits: Limits,
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
  /**
   * Maximum number of replies that a worker gives for the ticket. The relay ignores this number, because it limits the
   * chats and tokens of the account. A ticket of an older version has no such number, so its replies are not limited.
   */
  jobs: z.optional(z.int().check(z.positive())),
  /**
   * Id of the API request that opened the session. The relay and the worker log this id, so that an operator finds all
   * log lines of a session. Older readers ignore this id.
   */
  correlation_id: z.optional(z.string().check(z.maxLength(64))),
  /**
   * Household of a guest when the session was opened: the hash of the IP address. The relay counts a guest's use by
   * this hash, because CloudFront may be between the guest and the relay. Tickets of customers and tickets of older
   * versions have no household.
   */
  household: z.optional(z.string().check(z.maxLength(64))),
  /**
   * RunPod's id of the only endpoint that accepts the ticket. It separates a candidate from the released model: both have
   * the same `aud`. Workers of older versions ignore it, and tickets of a model without a candidate have none.
   */
  endpoint: z.optional(z.string().check(z.maxLength(64))),
  /**
   * `keepalive`: the ticket of a job that only keeps RunPod from shrinking an idle endpoint. A worker answers such a job
   * without the engine, and the relay refuses the ticket.
   */
  kind: z.optional(z.literal("keepalive")),
});
export type TicketClaims = z.infer<typeof TicketClaims>;

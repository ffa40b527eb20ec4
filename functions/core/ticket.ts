import {
  createLocalJWKSet,
  errors,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from "jose";
import { ApiError } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { TICKET_ALGORITHM, TICKET_TYPE, TicketClaims } from "../../contract/ticket";

/** Lifetime of a ticket in seconds: long enough to queue and retry a job, short enough to be useless when leaked. */
export const TICKET_SECONDS = 120;

/** Claims of a ticket without the times and the id. */
export type TicketGrant = Pick<TicketClaims, "iss" | "sub" | "aud" | "plan" | "limits">;

/**
 * Signs a ticket.
 *
 * @param key private Ed25519 JWK with a `kid`
 * @param lifetimeSeconds longer than the default only for a ticket that no client receives
 * @returns the compact JWT and its expiry
 */
export async function signTicket(
  grant: TicketGrant,
  key: JWK,
  now: Date,
  lifetimeSeconds: number = TICKET_SECONDS,
): Promise<{ ticket: string; expiresAt: Date }> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  const claims: TicketClaims = { ...grant, iat: issuedAt, exp: issuedAt + lifetimeSeconds, jti: crypto.randomUUID() };
  const ticket = await new SignJWT(claims)
    .setProtectedHeader({ alg: TICKET_ALGORITHM, kid: requireKid(key), typ: TICKET_TYPE })
    .sign(await importJWK(key, TICKET_ALGORITHM));
  return { ticket, expiresAt: new Date(claims.exp * 1000) };
}

/** Verifies the signature, the issuer and the shape of tickets. */
export type TicketReader = (
  ticket: string | undefined,
  options?: {
    now?: Date;
    /** Seconds for which an expired ticket is still accepted. Default 0. */
    graceSeconds?: number;
  },
) => Promise<TicketClaims>;

/**
 * Creates a reader of tickets that keeps the imported keys.
 *
 * @returns a reader that throws ApiError `ticket_missing`, `ticket_invalid` (signature, key, type, issuer or shape) or
 * `ticket_expired`. It does not check the ticket's model
 */
export function createTicketReader({ jwks, issuer }: { jwks: JSONWebKeySet; issuer: string }): TicketReader {
  const keys = createLocalJWKSet(jwks);
  return async (ticket, { now, graceSeconds = 0 } = {}) => {
    if (!ticket) throw new ApiError("ticket_missing");
    const options: JWTVerifyOptions = {
      algorithms: [TICKET_ALGORITHM],
      typ: TICKET_TYPE,
      issuer,
      requiredClaims: ["exp", "iat", "sub", "aud"],
      clockTolerance: graceSeconds,
      ...(now && { currentDate: now }),
    };
    const { payload } = await jwtVerify(ticket, keys, options).catch((cause: unknown) => {
      throw new ApiError(cause instanceof errors.JWTExpired ? "ticket_expired" : "ticket_invalid", undefined, {
        cause,
      });
    });
    const claims = TicketClaims.safeParse(payload);
    if (!claims.success) throw new ApiError("ticket_invalid");
    return claims.data;
  };
}

/**
 * Verifies a ticket offline.
 *
 * @throws ApiError `ticket_missing`, `ticket_invalid`, `ticket_expired` or `ticket_wrong_model`. The checks run in this
 * order, the same as in the Python worker.
 */
export async function verifyTicket(
  ticket: string | undefined,
  { model, now, ...keys }: { jwks: JSONWebKeySet; issuer: string; model: Model; now?: Date },
): Promise<TicketClaims> {
  const claims = await createTicketReader(keys)(ticket, { ...(now && { now }) });
  if (claims.aud !== model) throw new ApiError("ticket_wrong_model");
  return claims;
}

function requireKid(key: JWK): string {
  if (!key.kid) throw new Error("The ticket signing key has no kid");
  return key.kid;
}

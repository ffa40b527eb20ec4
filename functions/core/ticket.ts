import { createLocalJWKSet, errors, importJWK, type JSONWebKeySet, type JWK, jwtVerify, SignJWT } from "jose";
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
 * @returns the compact JWT and its expiry
 */
export async function signTicket(
  grant: TicketGrant,
  key: JWK,
  now: Date,
): Promise<{ ticket: string; expiresAt: Date }> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  const claims: TicketClaims = { ...grant, iat: issuedAt, exp: issuedAt + TICKET_SECONDS, jti: crypto.randomUUID() };
  const ticket = await new SignJWT(claims)
    .setProtectedHeader({ alg: TICKET_ALGORITHM, kid: requireKid(key), typ: TICKET_TYPE })
    .sign(await importJWK(key, TICKET_ALGORITHM));
  return { ticket, expiresAt: new Date(claims.exp * 1000) };
}

/**
 * Verifies a ticket offline.
 *
 * @throws ApiError `ticket_missing`, `ticket_invalid` (signature, key, type, issuer or shape), `ticket_expired` or
 * `ticket_wrong_model`. The checks run in this order, the same as in the Python worker.
 */
export async function verifyTicket(
  ticket: string | undefined,
  options: { jwks: JSONWebKeySet; issuer: string; model: Model; now?: Date },
): Promise<TicketClaims> {
  if (!ticket) throw new ApiError("ticket_missing");
  const payload = await verifySignature(ticket, options);
  const claims = TicketClaims.safeParse(payload);
  if (!claims.success) throw new ApiError("ticket_invalid");
  if (claims.data.aud !== options.model) throw new ApiError("ticket_wrong_model");
  return claims.data;
}

async function verifySignature(
  ticket: string,
  { jwks, issuer, now }: { jwks: JSONWebKeySet; issuer: string; now?: Date },
) {
  try {
    const { payload } = await jwtVerify(ticket, createLocalJWKSet(jwks), {
      algorithms: [TICKET_ALGORITHM],
      typ: TICKET_TYPE,
      issuer,
      requiredClaims: ["exp", "iat", "sub", "aud"],
      ...(now && { currentDate: now }),
    });
    return payload;
  } catch (cause) {
    throw new ApiError(cause instanceof errors.JWTExpired ? "ticket_expired" : "ticket_invalid", undefined, { cause });
  }
}

function requireKid(key: JWK): string {
  if (!key.kid) throw new Error("The ticket signing key has no kid");
  return key.kid;
}

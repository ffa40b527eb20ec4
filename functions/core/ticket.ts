import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import type { Jwks } from "aws-jwt-verify/jwk";
import type { JwtHeader, JwtPayload } from "aws-jwt-verify/jwt-model";
import { verifyJwtSync } from "aws-jwt-verify/jwt-verifier";
import type { JSONWebKeySet, JWK } from "jose";
import { ApiError } from "../../contract/errors";
import type { Model } from "../../contract/plan";
import { TICKET_ALGORITHM, TICKET_TYPE, TicketClaims } from "../../contract/ticket";

/** Lifetime of a ticket in seconds: long enough to queue and retry a job, short enough to be useless when leaked. */
export const TICKET_SECONDS = 120;

/**
 * Maximum number of jobs with one ticket: one reply every seven seconds of its lifetime. After that, the client must
 * get a new ticket.
 */
export const TICKET_JOBS = 18;

/** Claims of a ticket without the times, the id and the number of jobs. */
export type TicketGrant = Pick<
  TicketClaims,
  "iss" | "sub" | "aud" | "plan" | "limits" | "correlation_id" | "household" | "endpoint" | "kind"
>;

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
  const claims: TicketClaims = {
    ...grant,
    iat: issuedAt,
    exp: issuedAt + lifetimeSeconds,
    jti: crypto.randomUUID(),
    jobs: TICKET_JOBS,
  };
  const header = { alg: TICKET_ALGORITHM, kid: requireKid(key), typ: TICKET_TYPE };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const privateKey = createPrivateKey({ key: key as JsonWebKey, format: "jwk" });
  const ticket = `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
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
 * Creates a reader of tickets that caches the imported keys. The reader verifies in the calling thread, because an
 * Ed25519 signature takes less time to verify than to send to another thread.
 *
 * @returns a reader that throws ApiError `ticket_missing`, `ticket_invalid` (signature, key, type, issuer or shape) or
 * `ticket_expired`. It does not check the ticket's model
 */
export function createTicketReader({ jwks, issuer }: { jwks: JSONWebKeySet; issuer: string }): TicketReader {
  const keys = new Map(jwks.keys.map((key) => [key.kid, createPublicKey({ key: key as JsonWebKey, format: "jwk" })]));
  // jose's type of a JWKS does not allow additional fields.
  const published = jwks as object as Jwks;
  const verify = (ticket: string, now: Date) => {
    const options = {
      issuer,
      audience: null,
      // Turns off the library's own check of the times. The expiry is checked below.
      graceSeconds: Number.POSITIVE_INFINITY,
      customJwtCheck: ({
        header,
        payload: { nbf },
      }: {
        header: JwtHeader & { crit?: unknown };
        payload: JwtPayload;
      }) => {
        const { alg, typ, crit } = header;
        if (alg !== TICKET_ALGORITHM || typ !== TICKET_TYPE) throw new Error(`Not a ticket: ${alg} ${typ}`);
        // RFC 7515, section 4.1.11: a reader that does not know an extension must refuse the token. This reader knows
        // no extension.
        if (crit !== undefined) throw new Error("The ticket's header has extensions");
        if (nbf !== undefined && nbf > now.getTime() / 1000) throw new Error("The ticket is not valid yet");
      },
    };
    try {
      return TicketClaims.parse(verifyJwtSync(ticket, published, options, ({ kid }) => keys.get(kid) as KeyObject));
    } catch (cause) {
      throw new ApiError("ticket_invalid", undefined, { cause });
    }
  };
  return async (ticket, { now = new Date(), graceSeconds = 0 } = {}) => {
    if (!ticket) throw new ApiError("ticket_missing");
    const claims = verify(ticket, now);
    // Only workers accept a keep-alive ticket.
    if (claims.kind !== undefined) throw new ApiError("ticket_invalid");
    if (claims.exp + graceSeconds <= now.getTime() / 1000) throw new ApiError("ticket_expired");
    return claims;
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

import { ApiProblem, field, parseJson } from "./problem";

/**
 * The signed-in customer, read from the ID token. Use it only for display, because the browser does not verify the
 * token's signature.
 */
export interface Customer {
  sub: string;
  email?: string;
}

/** Expected claims of an ID token. */
export interface Expected {
  issuer: string;
  clientId: string;
  /** `nonce` of the sign-in's request. A refreshed token has none. */
  nonce?: string;
  /** The customer to whom a refreshed token must belong. */
  sub?: string;
}

/** A device's clock can be wrong by a time zone. The customer must still be able to sign in. */
const CLOCK_TOLERANCE_MS = 24 * 3600 * 1000;

/** Reads the customer from an ID token. Returns undefined when the text is not an ID token. */
export function customerOf(idToken: string): Customer | undefined {
  const claims = claimsOf(idToken);
  const sub = field(claims, "sub");
  const email = field(claims, "email");
  return typeof sub === "string" ? { sub, ...(typeof email === "string" && { email }) } : undefined;
}

/**
 * Checks the claims of a new ID token (OpenID Connect Core, 3.1.3.7 and 12.2). The signature is not checked, because the
 * token comes directly from the token endpoint over TLS.
 *
 * @returns lifetime in milliseconds, measured by the issuer's clock only
 * @throws ApiProblem `unauthorized` that names the wrong claim
 */
export function checkIdToken(idToken: string, { issuer, clientId, nonce, sub }: Expected): number {
  const claims = claimsOf(idToken);
  const claim = (name: string) => field(claims, name);
  const [issuedAt, expiresAt] = [Number(claim("iat")) * 1000, Number(claim("exp")) * 1000];
  const valid = {
    iss: claim("iss") === issuer,
    aud: [claim("aud")].flat().includes(clientId),
    nonce: nonce === undefined || claim("nonce") === nonce,
    sub: typeof claim("sub") === "string" && (sub === undefined || claim("sub") === sub),
    exp: expiresAt > issuedAt && expiresAt + CLOCK_TOLERANCE_MS > Date.now(),
  };
  const wrong = Object.entries(valid).find(([, isValid]) => !isValid)?.[0];
  if (wrong !== undefined) {
    throw new ApiProblem("unauthorized", `The ID token's claim ${wrong} is not the expected one. Sign in again.`);
  }
  return expiresAt - issuedAt;
}

/** Reads the payload of a JWT. Returns undefined when the text is not a JWT. */
function claimsOf(idToken: string): unknown {
  try {
    const payload = idToken.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    return parseJson(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

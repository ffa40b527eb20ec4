import { ApiProblem, field, parseJson, textField } from "./problem";

/**
 * The signed-in customer, read from the ID token. Use these fields only for display, because the browser does not
 * verify the token's signature.
 */
export interface Customer {
  sub: string;
  email: string | undefined;
}

/** Claims that an ID token must have. */
export interface ExpectedClaims {
  iss: string;
  /** Cognito's ID tokens have one audience: the app client's id. */
  aud: string;
  /** `nonce` of the sign-in's request. A refreshed token has no nonce. */
  nonce?: string;
  /** The customer to whom a refreshed token must belong. */
  sub?: string | undefined;
}

/** A device's clock can be wrong by a time zone. The customer must still be able to sign in. */
const CLOCK_TOLERANCE_MS = 24 * 3600 * 1000;

/** Reads the customer from an ID token. Returns undefined when the text is not an ID token. */
export function customerOf(idToken = ""): Customer | undefined {
  const claims = claimsOf(idToken);
  const sub = textField(claims, "sub");
  return sub ? { sub, email: textField(claims, "email") } : undefined;
}

/**
 * Checks the claims of a new ID token (OpenID Connect Core, 3.1.3.7 and 12.2). The signature is not checked, because the
 * token comes directly from the token endpoint over TLS.
 *
 * @returns lifetime in milliseconds, measured by the issuer's clock only
 * @throws ApiProblem `unauthorized` that names the wrong claim
 */
export function checkIdToken(idToken: string, expected: ExpectedClaims): number {
  const claims = claimsOf(idToken);
  const expiresAt = Number(field(claims, "exp")) * 1000;
  const lifetimeMs = expiresAt - Number(field(claims, "iat")) * 1000;
  const required = { sub: textField(claims, "sub") || "text", ...expected };
  const wrong = Object.entries(required).find(([name, value]) => field(claims, name) !== value)?.[0];
  const isLive = lifetimeMs > 0 && expiresAt + CLOCK_TOLERANCE_MS > Date.now();
  if (isLive && wrong === undefined) return lifetimeMs;
  throw new ApiProblem("unauthorized", `The ID token has a wrong claim: ${wrong ?? "exp"}.`);
}

/** Reads the payload of a JWT. Returns undefined when the text is not a JWT. */
function claimsOf(idToken: string): unknown {
  try {
    const payload = idToken.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (char) =>
      char.charCodeAt(0),
    );
    return parseJson(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

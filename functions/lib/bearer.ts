/**
 * Reads the token of an `Authorization` header (RFC 6750), with or without the prefix `Bearer`. Undefined when the
 * token is missing or empty. HTTP trims `Bearer ` to `Bearer`, so `Bearer` alone is an empty token.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization?.replace(/^bearer(\s+|$)/i, "").trim() || undefined;
}

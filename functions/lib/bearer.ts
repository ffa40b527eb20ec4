/**
 * Reads the token of an `Authorization` header (RFC 6750), with or without the prefix `Bearer`. Undefined for a missing or
 * an empty token, because HTTP trims `Bearer ` to `Bearer`.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization?.replace(/^bearer(\s+|$)/i, "").trim() || undefined;
}

/** Converts bytes to base64url without padding (RFC 4648, 5). */
export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** Returns 43 random characters: letters, digits, `-` and `_`. */
export function randomText(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

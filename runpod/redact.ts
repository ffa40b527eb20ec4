/** A shorter text is no secret, and would black out words of the message. */
const SHORTEST_SECRET = 8;

/** A message without the secrets that it may quote. */
export function redact(message: string, secrets: string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .reduce((text, secret) => text.replaceAll(secret, "***"), message);
}

/** A shorter text is no secret, and would black out words of the message. */
const SHORTEST_SECRET = 8;

/** A message without the secrets that it may quote. */
export function redact(message: string, secrets: string[]): string {
  // Quoted in JSON, as a refusal repeats what was sent, a secret looks different.
  const forms = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return forms
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .reduce((text, secret) => text.replaceAll(secret, "***"), message);
}

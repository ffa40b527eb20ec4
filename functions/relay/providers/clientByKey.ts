import { type Provider, ProviderFailure } from "../../core/relay/provider";
import type { ProviderSource } from ".";

/**
 * Creates an SDK's client at the first request, and again when the key has changed.
 *
 * @returns a function that returns the client. It throws ProviderFailure `misconfigured` when the key cannot be read
 */
export function clientByKey<Client>(
  provider: Provider["name"],
  { readKey }: ProviderSource,
  create: (apiKey: string) => Client,
): () => Promise<Client> {
  let current: { apiKey: string; client: Client } | undefined;
  return async () => {
    const apiKey = await readKey().catch((cause: unknown) => {
      throw new ProviderFailure("misconfigured", `${provider}: the API key cannot be read`, { cause });
    });
    if (current?.apiKey !== apiKey) current = { apiKey, client: create(apiKey) };
    return current.client;
  };
}

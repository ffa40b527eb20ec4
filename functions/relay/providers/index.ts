import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { VipProvider } from "../../../contract/relay";
import type { Provider } from "../../core/relay/provider";

/** Settings of one external LLM. */
export interface ProviderSource {
  /** Environment variables, such as `ANTHROPIC_MODEL`, `ANTHROPIC_EFFORT` and `ANTHROPIC_BASE_URL`. */
  env: Record<string, string | undefined>;
  /** Reads the API key, once per request. The reader caches, so that a rotated key takes effect. */
  readKey(): Promise<string>;
}

/** Exports of a file in this folder that has the name of a provider. */
export interface ProviderModule {
  /** Creates the provider. Missing settings fail its requests, not this call. */
  create(source: ProviderSource): Provider;
}

/** Loads the module of a provider. */
export type LoadProvider = (name: VipProvider) => Promise<ProviderModule>;

/**
 * Loads a provider and its SDK from a file, so that a relay without it never parses the SDK. The import's argument is
 * not a literal: esbuild leaves it out of the relay's bundle.
 */
export const loadProvider: LoadProvider = (name) => {
  const file = __filename.endsWith(".ts") ? `${name}.ts` : join("relay", "providers", `${name}.cjs`);
  return import(pathToFileURL(join(__dirname, file)).href);
};

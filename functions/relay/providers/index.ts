import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { VipProvider } from "../../../contract/relay";
import type { Provider } from "../../core/relay/provider";

/** Settings of one external LLM. */
export interface ProviderSource {
  /** Environment variables, such as `ANTHROPIC_MODEL`, `ANTHROPIC_EFFORT` and `ANTHROPIC_BASE_URL`. */
  env: Record<string, string | undefined>;
  /**
   * Reads the API key. Called for every request, so that a rotated key takes effect. The implementation caches the key.
   */
  readKey(): Promise<string>;
}

/** Exports of a provider's file. Each provider has a file with its name in this folder. */
export interface ProviderModule {
  /** Creates the provider. If settings are missing, the provider's requests fail, not this call. */
  create(source: ProviderSource): Provider;
}

/** Loads the module of a provider. */
export type LoadProvider = (name: VipProvider) => Promise<ProviderModule>;

/**
 * Loads a provider and its SDK from a file, so that a relay that does not use the provider never parses the SDK. The
 * import's argument is not a literal, so esbuild does not add the file to the relay's bundle.
 */
export const loadProvider: LoadProvider = (name) => {
  const file = __filename.endsWith(".ts") ? `${name}.ts` : join("relay", "providers", `${name}.cjs`);
  return import(pathToFileURL(join(__dirname, file)).href);
};

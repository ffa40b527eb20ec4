import { type FailureCause, failures } from "./failure";
import type { Provider } from "./provider";

/** Cooldown after a failure. A longer Retry-After extends it up to the maximum. */
const COOLDOWN_MS = 20_000;
const MAX_COOLDOWN_MS = 60_000;

/**
 * Time reserved for the chat that tries a provider after its cooldown. No other chat tries the provider in this time.
 */
const PROBE_MS = 20_000;

/** Maximum age of the cached cooldowns. */
const CACHE_MS = 5_000;

/** Storage that all containers share. It maps a key to the end of a cooldown in Unix milliseconds. */
export interface CooldownStore {
  /** Returns the end of each stored cooldown, even if the end has passed. Keys without a cooldown are absent. */
  read(keys: readonly string[]): Promise<Map<string, number>>;
  /** Stores a cooldown. */
  write(key: string, endMs: number): Promise<void>;
  /** Replaces the stored end `seenMs` with `endMs`. Returns false when the stored end is not `seenMs`. */
  replace(key: string, seenMs: number, endMs: number): Promise<boolean>;
  /** Deletes a cooldown. */
  remove(key: string): Promise<void>;
}

/**
 * Cooldowns of failing providers. A provider that failed is skipped for 20 s, or for its Retry-After up to 60 s. After
 * that, only one chat tries the provider. If this chat succeeds, the cooldown is deleted. If it fails, a new cooldown
 * starts. No method rejects. When the storage fails, each container uses only the failures that it has seen itself.
 */
export interface Cooldowns {
  /**
   * Returns the providers to try for one chat, in order. When all providers are in cooldown, returns only the provider
   * whose cooldown ends first. Reads the storage at most every 5 s, and never for a single provider.
   */
  order(providers: readonly Provider[], now: Date): Promise<Provider[]>;
  /**
   * Starts a cooldown, unless the request itself caused the failure. A candidate gets no cooldown: the verdict must see
   * its failures, and the released model answers the failed chats.
   */
  failed(provider: Provider, reason: FailureCause, retryAfterMs: number | undefined, now: Date): Promise<void>;
  /** Ends the cooldown of a provider that has answered. Does nothing when no cooldown is known. */
  succeeded(provider: Provider): Promise<void>;
}

/** Creates the cooldowns of one container. */
export function createCooldowns(store: CooldownStore): Cooldowns {
  let ends = new Map<string, number>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  /**
   * Number of changes that this container made. A read that overlaps with a change is ignored, because the read may
   * miss the change.
   */
  let changes = 0;

  async function read(keys: readonly string[], now: Date): Promise<void> {
    const seen = changes;
    const stored = await store.read(keys).catch(() => undefined);
    readAtMs = now.getTime();
    if (stored && seen === changes) ends = stored;
  }

  async function refresh(keys: readonly string[], now: Date): Promise<void> {
    if (now.getTime() - readAtMs < CACHE_MS) return;
    reading ??= read(keys, now).finally(() => {
      reading = undefined;
    });
    await reading;
  }

  /** Claims the first try of a provider after its cooldown. Returns true for only one chat of all containers. */
  async function claimProbe(key: string, seenMs: number, now: Date): Promise<boolean> {
    const endMs = now.getTime() + PROBE_MS;
    changes++;
    ends.set(key, endMs);
    return store.replace(key, seenMs, endMs).catch(() => true);
  }

  return {
    async order(providers, now) {
      if (providers.length <= 1) return [...providers];
      await refresh(providers.map(keyOf), now);
      const endOf = (provider: Provider) => ends.get(keyOf(provider)) ?? 0;
      const ready: Provider[] = [];
      for (const provider of providers) {
        const endMs = endOf(provider);
        if (endMs > now.getTime()) continue;
        // A provider is only a fallback when a ready provider comes before it in the order. Any chat may try a
        // fallback.
        const isProbe = endMs > 0 && ready.length === 0;
        if (!isProbe || (await claimProbe(keyOf(provider), endMs, now))) ready.push(provider);
      }
      return ready.length > 0 ? ready : providers.toSorted((a, b) => endOf(a) - endOf(b)).slice(0, 1);
    },

    async failed(provider, reason, retryAfterMs = 0, now) {
      if (provider.isCandidate || failures[reason].cooldown === "none") return;
      const endMs = now.getTime() + Math.min(Math.max(COOLDOWN_MS, retryAfterMs), MAX_COOLDOWN_MS);
      changes++;
      ends.set(keyOf(provider), endMs);
      await store.write(keyOf(provider), endMs).catch(() => {});
    },

    async succeeded(provider) {
      if (!ends.has(keyOf(provider))) return;
      changes++;
      ends.delete(keyOf(provider));
      await store.remove(keyOf(provider)).catch(() => {});
    },
  };
}

/**
 * Key of a provider's cooldown. Each model of a vendor has a separate cooldown, because a single model may be retired
 * or overloaded. A candidate has a separate key, so that its reply does not end the cooldown of the released model.
 */
function keyOf({ name, model, isCandidate }: Provider): string {
  return `${name}#${model}${isCandidate ? "#candidate" : ""}`;
}

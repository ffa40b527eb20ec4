import { type FailureCause, failures } from "./failure";
import type { Provider } from "./provider";

/** Cooldown after a failure. A longer Retry-After extends it up to the maximum. */
const COOLDOWN_MS = 20_000;
const MAX_COOLDOWN_MS = 60_000;

/** Time for which one chat alone tries a provider after its cooldown. */
const PROBE_MS = 20_000;

/** Age at which the remembered cooldowns are read again. */
const CACHE_MS = 5_000;

/** Storage that all containers share. It maps a key to the end of a cooldown in Unix milliseconds. */
export interface CooldownStore {
  /** Ends of the stored cooldowns, passed ones included. Keys without a cooldown are absent. */
  read(keys: readonly string[]): Promise<Map<string, number>>;
  /** Stores a cooldown. */
  write(key: string, endMs: number): Promise<void>;
  /** Replaces the end `seenMs` by `endMs`. False when the stored end is another one. */
  replace(key: string, seenMs: number, endMs: number): Promise<boolean>;
  /** Deletes a cooldown. */
  remove(key: string): Promise<void>;
}

/**
 * Cooldowns of failing providers. A provider that failed is skipped for 20 s, or for its Retry-After up to 60 s. After
 * that, one chat alone tries it first, until it succeeds (the cooldown is deleted) or fails (a new cooldown starts).
 *
 * No method rejects: without the storage, a container knows only the failures that it saw itself.
 */
export interface Cooldowns {
  /**
   * Providers to try for one chat, in order. When all are cooling, the only one returned is the one whose cooldown ends
   * first. It reads the storage at most every 5 s, and never for a single provider.
   */
  order(providers: readonly Provider[], now: Date): Promise<Provider[]>;
  /** Starts a cooldown, unless the failure is the request's own fault. */
  failed(provider: Provider, reason: FailureCause, retryAfterMs: number | undefined, now: Date): Promise<void>;
  /** Ends the cooldown of a provider that has answered. Without a known cooldown it does nothing. */
  succeeded(provider: Provider): Promise<void>;
}

/** Creates the cooldowns of one container. */
export function createCooldowns(store: CooldownStore): Cooldowns {
  let ends = new Map<string, number>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  /** Number of own changes. A read that overlaps with a change is ignored, because it may not contain the change. */
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

  /** Whether this chat is the one that tries the provider again. */
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
        // Behind a ready provider it is only a fallback, which needs no claim.
        const isProbe = endMs > 0 && ready.length === 0;
        if (!isProbe || (await claimProbe(keyOf(provider), endMs, now))) ready.push(provider);
      }
      return ready.length > 0 ? ready : providers.toSorted((a, b) => endOf(a) - endOf(b)).slice(0, 1);
    },

    async failed(provider, reason, retryAfterMs = 0, now) {
      if (failures[reason].cooldown === "none") return;
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

/** Key of a provider's cooldown. Models are separate: one may be retired or overloaded alone. */
function keyOf({ name, model }: Provider): string {
  return `${name}#${model}`;
}

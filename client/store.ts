/** The part of the browser's `Storage` that the client uses. */
export type KeyValueStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** A storage that never throws. */
export interface SafeStore {
  get(key: string): string | null;
  /** Returns false when the value is only kept in memory, because the browser refuses to store it. */
  set(key: string, value: string): boolean;
  remove(key: string): void;
}

/**
 * Wraps a storage. A browser can refuse storage: it is full, forbidden by a setting, or absent, as on a server. Then the
 * values are kept in memory until the page is left.
 *
 * @param storage default: `localStorage`
 */
export function createSafeStore(storage: KeyValueStorage | undefined): SafeStore {
  const memory = new Map<string, string>();
  /** Runs one operation. Reading the property `localStorage` throws when storage is forbidden. */
  const attempt = <T>(operation: (storage: KeyValueStorage) => T): { result: T } | undefined => {
    try {
      const open = storage ?? globalThis.localStorage;
      return open && { result: operation(open) };
    } catch {
      return undefined;
    }
  };

  return {
    get: (key) => memory.get(key) ?? attempt((open) => open.getItem(key))?.result ?? null,
    set(key, value) {
      memory.delete(key);
      if (attempt((open) => open.setItem(key, value))) return true;
      // The older value must not come back after a reload.
      attempt((open) => open.removeItem(key));
      memory.set(key, value);
      return false;
    },
    remove(key) {
      memory.delete(key);
      attempt((open) => open.removeItem(key));
    },
  };
}

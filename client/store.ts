import { parseJson } from "./problem";

/** The part of the browser's `Storage` that the client uses. */
export type KeyValueStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** A storage of JSON that never throws. */
export interface SafeStore {
  /** Returns undefined when there is no value, or when the stored text is not JSON. */
  get(key: string): unknown;
  /** Returns false when the value is only kept in memory, because the browser refuses to store it. */
  set(key: string, value: object): boolean;
  remove(key: string): void;
}

/**
 * Wraps a storage. The storage can be full, forbidden by a setting, or absent, for example on a server. In these cases,
 * the values are kept in memory until the visitor leaves the page.
 *
 * @param storage default: `localStorage`
 */
export function createSafeStore(storage: KeyValueStorage | undefined): SafeStore {
  const memory = new Map<string, string>();
  /**
   * Runs one operation. Returns undefined when the browser refuses the operation, or when it refuses access to
   * `localStorage`.
   */
  const attempt = <T>(operation: (storage: KeyValueStorage) => T): T | undefined => {
    try {
      return operation(storage ?? globalThis.localStorage);
    } catch {
      return undefined;
    }
  };

  const remove = (key: string): void => {
    memory.delete(key);
    attempt((open) => open.removeItem(key));
  };

  return {
    get: (key) => parseJson(memory.get(key) ?? attempt((open) => open.getItem(key)) ?? ""),
    set(key, value) {
      const text = JSON.stringify(value);
      memory.delete(key);
      const isStored = attempt((open) => {
        open.setItem(key, text);
        return true;
      });
      if (isStored) return true;
      // The older value must not return after a reload.
      remove(key);
      memory.set(key, text);
      return false;
    },
    remove,
  };
}

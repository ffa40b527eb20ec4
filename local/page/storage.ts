/**
 * Runs one operation of a browser's storage. Returns undefined when the browser refuses it: storage is forbidden by a
 * setting, or full. Reading the property `localStorage` or `sessionStorage` throws in the first case, so the operation
 * must read it.
 */
export function tryStorage<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}

/**
 * Runs one operation of a browser's storage. Returns undefined when the browser refuses the operation, because a
 * setting forbids storage or the storage is full. If a setting forbids storage, even reading the property
 * `localStorage` or `sessionStorage` throws. Therefore the operation itself must read this property.
 */
export function tryStorage<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}

/**
 * Rebuilds a file when one of its sources has changed since the last build. Paths of sources are relative to the
 * working directory.
 */
declare function buildWhenStale(
  file: string,
  build: () => { outputFiles: { path: string; contents: string | Uint8Array }[]; sources: string[] },
): void;

export = buildWhenStale;

import { isObject, type Properties, type Value } from "../support/protocol/value";

/**
 * Returns the new inputs, but with the old values at the paths of `ignoreChanges`.
 *
 * @param paths such as `tags`, `tags.owner`, `tags["a.b"]`, `rules[0].name`, or `*` for all inputs
 */
export function ignoreChanges(news: Properties, olds: Properties, paths: string[]): Properties {
  if (paths.includes("*")) return olds;
  const result = structuredClone(news);
  for (const path of paths) restoreOld(result, olds, segments(path));
  return result;
}

/** Whether a path of `replaceOnChanges` covers a changed property. */
export function isCoveredBy(property: string, paths: string[]): boolean {
  const changed = segments(property);
  return paths.some((path) =>
    segments(path).every((segment, at) => segment === "*" || at >= changed.length || segment === changed[at]),
  );
}

/** The first segment of a path: the top-level property. */
export function rootOf(path: string): string {
  return segments(path)[0] ?? path;
}

function segments(path: string): string[] {
  return Array.from(path.matchAll(/\["([^"]*)"\]|\[([^\]]*)\]|([^.[\]]+)/g), (m) => m[1] ?? m[2] ?? m[3] ?? "");
}

function restoreOld(news: Value | undefined, olds: Value | undefined, [head, ...rest]: string[]): void {
  const target = container(news);
  if (target === undefined || head === undefined) return;
  const source = container(olds) ?? {};
  if (rest.length > 0) restoreOld(target[head], source[head], rest);
  else if (source[head] === undefined) delete target[head];
  else target[head] = source[head];
}

function container(value: Value | undefined): Record<string, Value> | undefined {
  // JavaScript accepts an array index as text, so arrays can be treated as objects.
  return isObject(value) || Array.isArray(value) ? (value as Properties) : undefined;
}

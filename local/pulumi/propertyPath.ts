import { isObject, type Properties, type Value } from "../support/protocol/value";

/**
 * The new inputs with those that `ignoreChanges` names taken from the old ones.
 *
 * @param paths such as `tags`, `tags.owner`, `tags["a.b"]`, `rules[0].name` or `*` for all
 */
export function ignoreChanges(news: Properties, olds: Properties, paths: string[]): Properties {
  if (paths.includes("*")) return olds;
  const kept = structuredClone(news);
  for (const path of paths) keep(kept, olds, segments(path));
  return kept;
}

/** Whether a changed property is one that a path of `replaceOnChanges` names. */
export function isNamedBy(property: string, paths: string[]): boolean {
  const changed = segments(property);
  return paths.some((path) =>
    segments(path).every((segment, at) => segment === "*" || at >= changed.length || segment === changed[at]),
  );
}

/** The first segment of a path: the property it lies in. */
export function rootOf(path: string): string {
  return segments(path)[0] ?? path;
}

function segments(path: string): string[] {
  return Array.from(path.matchAll(/\["([^"]*)"\]|\[([^\]]*)\]|([^.[\]]+)/g), (m) => m[1] ?? m[2] ?? m[3] ?? "");
}

function keep(news: Value | undefined, olds: Value | undefined, [head, ...rest]: string[]): void {
  const target = container(news);
  if (target === undefined || head === undefined) return;
  const source = container(olds) ?? {};
  if (rest.length > 0) keep(target[head], source[head], rest);
  else if (source[head] === undefined) delete target[head];
  else target[head] = source[head];
}

function container(value: Value | undefined): Record<string, Value> | undefined {
  // An array is indexed by its numbers in text just as well.
  return isObject(value) || Array.isArray(value) ? (value as Properties) : undefined;
}

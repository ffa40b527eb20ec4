import { isDeepStrictEqual } from "node:util";
import { isArchive, isAsset, isObject } from "../../support/protocol/value";
import { holdsUnknown, type Properties, stableJson } from "../support/values";

/** One difference between two sets of inputs. */
export interface Change {
  /** Property path, such as `environment.variables.MODEL` or `routeSettings[0].routeKey`. */
  path: string;
  kind: "add" | "delete" | "update";
}

/**
 * Lists the differences between `olds` and `news`. The path of a difference is as deep as possible. An asset or archive
 * is a single value.
 *
 * @param sets names of lists, at any depth, whose order does not matter
 */
export function changes(olds: Properties, news: Properties, sets: readonly string[] = []): Change[] {
  return objectChanges("", olds, aligned(olds, news, sets));
}

/** The first segment of a property path. */
export function topLevel(path: string): string {
  return path.split(/[.[]/, 1)[0] ?? path;
}

/** Whether `path` is `root` or lies below it. */
export function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`);
}

function valueChanges(path: string, old: unknown, next: unknown): Change[] {
  if (old === undefined || old === null) return next === undefined || next === null ? [] : [{ path, kind: "add" }];
  if (next === undefined || next === null) return [{ path, kind: "delete" }];
  if (isFile(old) && isFile(next)) return sameFile(old, next) ? [] : [{ path, kind: "update" }];
  if (isObject(old) && isObject(next) && !isFile(old) && !isFile(next)) return objectChanges(path, old, next);
  if (Array.isArray(old) && Array.isArray(next) && !holdsUnknown(next)) {
    return Array.from({ length: Math.max(old.length, next.length) }, (_, index) =>
      valueChanges(`${path}[${index}]`, old[index], next[index]),
    ).flat();
  }
  return isDeepStrictEqual(old, next) ? [] : [{ path, kind: "update" }];
}

function objectChanges(path: string, olds: Properties, news: Properties): Change[] {
  return [...new Set([...Object.keys(olds), ...Object.keys(news)])].flatMap((name) =>
    valueChanges(path === "" ? name : join(path, name), olds[name], news[name]),
  );
}

/**
 * Reorders every set in `next`. A member that is also in `old` gets its old position. The other members fill the
 * remaining positions.
 */
function aligned(old: Properties, next: Properties, sets: readonly string[]): Properties {
  return Object.fromEntries(
    Object.entries(next).map(([name, value]) => {
      const before = old[name];
      if (!sets.includes(name) || !Array.isArray(before) || !Array.isArray(value)) return [name, value];
      const others = [...value];
      const places = before.map((item) => {
        const at = others.findIndex((one) => comparable(one, sets) === comparable(item, sets));
        if (at === -1) return undefined;
        others.splice(at, 1);
        return item;
      });
      return [name, [...places.map((item) => item ?? others.shift()), ...others]];
    }),
  );
}

/** Returns the same text for two values that differ only in the order of their sets. */
function comparable(value: unknown, sets: readonly string[]): string {
  return stableJson(sorted(value, sets));
}

function sorted(value: unknown, sets: readonly string[], name = ""): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => sorted(item, sets));
    return sets.includes(name) ? items.sort((a, b) => (stableJson(a) < stableJson(b) ? -1 : 1)) : items;
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([member, item]) => [member, sorted(item, sets, member)]));
}

/** Appends a name to a property path. Quotes a name that is not an identifier, as Pulumi does. */
function join(path: string, name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}["${name.replaceAll('"', '\\"')}"]`;
}

function isFile(value: unknown): value is Properties {
  return isAsset(value) || isArchive(value);
}

function sameFile(old: Properties, next: Properties): boolean {
  if (typeof old.hash === "string" && typeof next.hash === "string") return old.hash === next.hash;
  return isDeepStrictEqual(old, next);
}

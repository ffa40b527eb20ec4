import { isDeepStrictEqual } from "node:util";
import { isArchive, isAsset, isObject } from "../protocol/value";
import { holdsUnknown, type Properties } from "./values";

/** One difference between two sets of inputs. */
export interface Change {
  /** Property path, such as `environment.variables.MODEL` or `routeSettings[0].routeKey`. */
  path: string;
  kind: "add" | "delete" | "update";
}

/** Lists how `news` differs from `olds`, each at its deepest path; assets and archives count as one value each. */
export function changes(olds: Properties, news: Properties): Change[] {
  return objectChanges("", olds, news);
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

/** A name that is not an identifier is quoted, as Pulumi's property paths want it. */
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

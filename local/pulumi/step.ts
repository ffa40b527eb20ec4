import type { Properties } from "../support/protocol/value";
import { isNamedBy, rootOf } from "./propertyPath";
import type { Diff } from "./provider";
import type { ResourceState } from "./state";
import { isSame } from "./value";

/** What is done with one resource. */
type Operation = "same" | "create" | "update" | "replace" | "delete" | "read";

/** One step of a run, after it was taken. */
export interface StepEvent {
  op: Operation;
  urn: string;
  /** URN of what it is part of; undefined for the stack. */
  parent: string | undefined;
  /** Type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  name: string;
  /** False for a component. */
  custom: boolean;
  /** Names of the properties that differ. */
  changed: string[];
  /** Those of them that call for a replacement. */
  replaceKeys: string[];
  /** True for a delete that only forgets the resource: the program wants what it made to stay. */
  retained: boolean;
}

/** What to do with a resource that the program registered. */
export interface Decision {
  op: "same" | "create" | "update" | "replace";
  changed: string[];
  replaceKeys: string[];
  /** For a replacement: the old one must go first. */
  deleteBeforeReplace: boolean;
}

/** The decision for a resource that does not exist yet. */
export const creation: Decision = { op: "create", changed: [], replaceKeys: [], deleteBeforeReplace: false };

/** What the program says about a replacement. */
export interface ReplaceOptions {
  replaceOnChanges: string[];
  /** Undefined leaves it to the provider. */
  deleteBeforeReplace: boolean | undefined;
}

/**
 * Decides what to do with a resource that exists.
 *
 * @param news its new inputs, checked
 * @param diff the provider's word. `changes` undefined (also for a component) leaves it to a comparison of the inputs.
 */
export function decide(old: ResourceState, news: Properties, diff: Partial<Diff>, options: ReplaceOptions): Decision {
  const changed = changedProperties(old, news, diff);
  const named = changed.filter((property) => isNamedBy(property, options.replaceOnChanges));
  const replaceKeys = unique([...(diff.replaces ?? []).map(rootOf), ...named.map(rootOf)]);
  const isChanged = diff.changes ?? changed.length > 0;
  return {
    op: replaceKeys.length > 0 ? "replace" : isChanged || old.initErrors.length > 0 ? "update" : "same",
    changed: isChanged ? unique(changed.map(rootOf)) : [],
    replaceKeys,
    deleteBeforeReplace: options.deleteBeforeReplace ?? diff.deleteBeforeReplace ?? false,
  };
}

function changedProperties(old: ResourceState, news: Properties, diff: Partial<Diff>): string[] {
  if (diff.changes === false) return [];
  if (diff.changed && diff.changed.length > 0) return diff.changed;
  return Object.keys({ ...old.inputs, ...news }).filter((name) => !isSame(old.inputs[name], news[name]));
}

function unique(names: string[]): string[] {
  return [...new Set(names)];
}

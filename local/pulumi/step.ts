import type { Properties } from "../support/protocol/value";
import { isCoveredBy, rootOf } from "./propertyPath";
import type { Diff } from "./provider";
import type { ResourceState } from "./state";
import { isSame } from "./value";

type Operation = "same" | "create" | "update" | "replace" | "delete" | "read";

/** A completed step of a run. */
export interface StepEvent {
  op: Operation;
  urn: string;
  /** URN of the parent; undefined for the stack. */
  parent: string | undefined;
  /** Type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  name: string;
  /** False for a component. */
  custom: boolean;
  /** Names of the changed properties. */
  changed: string[];
  /** Names of the changed properties that need a replacement. */
  replaceKeys: string[];
  /** Name in the cloud; undefined when no known output contains a name. */
  physicalName?: string | undefined;
  /** Tags in the cloud, the provider's default tags included. */
  tags: Record<string, string>;
  /** True for a delete that removes the resource only from the state, because of `retainOnDelete`. */
  retained: boolean;
}

/** Operation for a resource that the program registered. */
export interface Decision {
  op: "same" | "create" | "update" | "replace";
  changed: string[];
  replaceKeys: string[];
  /** Whether a replacement must delete the old resource first. */
  deleteBeforeReplace: boolean;
}

/** The decision for a resource that does not exist yet. */
export const creation: Decision = { op: "create", changed: [], replaceKeys: [], deleteBeforeReplace: false };

/** Replacement options of the program. */
export interface ReplaceOptions {
  replaceOnChanges: string[];
  /** Undefined when the provider decides. */
  deleteBeforeReplace: boolean | undefined;
}

/**
 * Decides the operation for an existing resource.
 *
 * @param news its new inputs, after the provider's check
 * @param diff result of the provider's diff. If `changes` is missing, as for a component, the function compares the
 *   inputs
 */
export function decide(old: ResourceState, news: Properties, diff: Partial<Diff>, options: ReplaceOptions): Decision {
  const changed = changedProperties(old, news, diff);
  const replacing = changed.filter((property) => isCoveredBy(property, options.replaceOnChanges));
  const replaceKeys = unique([...(diff.replaces ?? []).map(rootOf), ...replacing.map(rootOf)]);
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

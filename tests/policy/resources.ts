import type { ResourceState } from "../../local/pulumi/state";
import { nameOf } from "../../local/pulumi/urn";
import { isObject, type Properties, reveal } from "../../local/support/protocol/value";
import type { StackResource } from "../../policy/rule";

/** A resource as a policy sees it: inputs before a change, outputs after it. Secrets are in plain text. */
export function policyResource(state: ResourceState, part: "inputs" | "outputs"): StackResource {
  return { type: state.type, name: nameOf(state.urn), props: plain(state[part]), isProtected: state.protect };
}

/** Replaces marked secrets by their plain values. */
export function plain(properties: Properties): Properties {
  const revealed = reveal(properties);
  return isObject(revealed) ? revealed : {};
}

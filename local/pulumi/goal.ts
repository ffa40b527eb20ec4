import type { ReadResourceRequest, RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb";
import { collapseOutputs, mapValues, type Properties } from "../support/protocol/value";
import { createUrn } from "./urn";

/** The desired state of a resource, as the program registered it. "Goal" is Pulumi's term. */
export interface Goal {
  urn: string;
  type: string;
  name: string;
  custom: boolean;
  parent: string | undefined;
  inputs: Properties;
  dependencies: string[];
  propertyDependencies: Record<string, string[]>;
  /** Undefined when inherited from the parent. */
  protect: boolean | undefined;
  /** Undefined when inherited from the parent. */
  retainOnDelete: boolean | undefined;
  deleteBeforeReplace: boolean | undefined;
  ignoreChanges: string[];
  replaceOnChanges: string[];
  additionalSecretOutputs: string[];
  /** Earlier URNs of the resource. */
  aliases: string[];
}

/** Converts a registration to a goal. */
export function goalOf(request: RegisterResourceRequest, project: string, stack: string): Goal {
  const type = request.getType();
  const name = request.getName();
  const parent = request.getParent() || undefined;
  return {
    urn: createUrn({ stack, project, type, name, parent }),
    type,
    name,
    custom: request.getCustom(),
    parent,
    inputs: mapValues(request.getObject()?.toJavaScript() ?? {}, collapseOutputs),
    dependencies: request.getDependenciesList(),
    propertyDependencies: Object.fromEntries(
      [...request.getPropertydependenciesMap().entries()].map(([property, urns]) => [property, urns.getUrnsList()]),
    ),
    protect: request.hasProtect() ? request.getProtect() : undefined,
    retainOnDelete: request.hasRetainondelete() ? request.getRetainondelete() : undefined,
    deleteBeforeReplace: request.getDeletebeforereplacedefined() ? request.getDeletebeforereplace() : undefined,
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    aliases: aliasesOf(request, project, stack),
  };
}

/** Converts the read of an existing resource to a goal. */
export function goalOfRead(request: ReadResourceRequest, project: string, stack: string): Goal {
  const type = request.getType();
  const name = request.getName();
  const parent = request.getParent() || undefined;
  return {
    urn: createUrn({ stack, project, type, name, parent }),
    type,
    name,
    custom: true,
    parent,
    inputs: mapValues(request.getProperties()?.toJavaScript() ?? {}, collapseOutputs),
    dependencies: request.getDependenciesList(),
    propertyDependencies: {},
    protect: undefined,
    retainOnDelete: undefined,
    deleteBeforeReplace: undefined,
    ignoreChanges: [],
    replaceOnChanges: [],
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    aliases: [],
  };
}

function aliasesOf(request: RegisterResourceRequest, project: string, stack: string): string[] {
  return request.getAliasesList().map((alias) => {
    const spec = alias.getSpec();
    if (spec === undefined) return alias.getUrn();
    return createUrn({
      stack: spec.getStack() || stack,
      project: spec.getProject() || project,
      type: spec.getType() || request.getType(),
      name: spec.getName() || request.getName(),
      parent: spec.getNoparent() ? undefined : spec.getParenturn() || request.getParent() || undefined,
    });
  });
}

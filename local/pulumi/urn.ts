const rootType = "pulumi:pulumi:Stack";

/** What a URN is made of. */
export interface UrnParts {
  stack: string;
  project: string;
  type: string;
  name: string;
  /** URN of the parent. The stack's own is not part of its children's types. */
  parent?: string | undefined;
}

/** `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`. */
export function createUrn({ stack, project, type, name, parent }: UrnParts): string {
  const parentType = parent === undefined ? rootType : qualifiedTypeOf(parent);
  const qualified = parentType === rootType ? type : `${parentType}$${type}`;
  return `urn:pulumi:${stack}::${project}::${qualified}::${name}`;
}

/** The type token of a URN without those of its parents. */
export function typeOf(urn: string): string {
  return qualifiedTypeOf(urn).split("$").at(-1) ?? "";
}

/** The name of a URN. It may contain `::`. */
export function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

/** The package a type token or a function token belongs to: `aws` of `aws:dynamodb/table:Table`. */
export function packageOf(token: string): string {
  return token.split(":", 1)[0] ?? "";
}

/** Whether a type token is that of the root resource, which carries the stack's outputs. */
export function isStack(type: string): boolean {
  return type === rootType;
}

function qualifiedTypeOf(urn: string): string {
  return urn.split("::")[2] ?? "";
}

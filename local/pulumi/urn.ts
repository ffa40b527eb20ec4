const rootType = "pulumi:pulumi:Stack";

/** Parts of a URN. */
export interface UrnParts {
  stack: string;
  project: string;
  type: string;
  name: string;
  /** URN of the parent. A child's URN contains the types of its parents, except the type of the stack. */
  parent?: string | undefined;
}

/** Builds `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`. */
export function createUrn({ stack, project, type, name, parent }: UrnParts): string {
  const parentType = parent === undefined ? rootType : qualifiedTypeOf(parent);
  const qualified = parentType === rootType ? type : `${parentType}$${type}`;
  return `urn:pulumi:${stack}::${project}::${qualified}::${name}`;
}

/** The type token of a URN, without the types of its parents. */
export function typeOf(urn: string): string {
  return qualifiedTypeOf(urn).split("$").at(-1) ?? "";
}

/** The name of a URN. It may contain `::`. */
export function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

/** The package of a type token or function token: `aws` for `aws:dynamodb/table:Table`. */
export function packageOf(token: string): string {
  return token.split(":", 1)[0] ?? "";
}

/** Whether a type token is the type of the root resource, which has the outputs of the stack. */
export function isStack(type: string): boolean {
  return type === rootType;
}

function qualifiedTypeOf(urn: string): string {
  return urn.split("::")[2] ?? "";
}

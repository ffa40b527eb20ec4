/** A resource of a stack as Pulumi's engine shows it to a policy. */
export interface StackResource {
  /** Type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  /** Logical name. */
  name: string;
  /** Inputs; in `checkStack` also outputs. Reading a value that a preview does not know throws an error. */
  props: Record<string, unknown>;
  /** Whether Pulumi refuses to delete the resource. */
  isProtected: boolean;
}

/** A rule of the policy pack. */
export interface Rule {
  /** Unique in the pack, in kebab case. */
  name: string;
  /** States what must be true. */
  description: string;
  /** Says what to do about a violation. */
  advice: string;
  /** Returns the problem of a resource; undefined for a resource that follows the rule. */
  check?: (resource: StackResource) => string | undefined;
  /** Returns the problems that need several resources, or the outputs of one. */
  checkStack?: (resources: StackResource[]) => Problem[];
}

/** A violation of a rule. */
export interface Problem {
  resource: StackResource;
  problem: string;
}

/** Reads a value below an object by its path, such as `ttl.enabled`. Undefined when a part of the path is missing. */
export function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (part, key) => (typeof part === "object" && part !== null ? Reflect.get(part, key) : undefined),
      value,
    );
}

/** The texts in a list, or in a single value. */
export function texts(value: unknown): string[] {
  return [value ?? []].flat().map(String);
}

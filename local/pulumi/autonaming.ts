import { randomBytes } from "node:crypto";
import { EngineError } from "./error";

/** The resource and the stack whose names a pattern contains. */
interface Named {
  project: string;
  stack: string;
  /** Logical name of the resource. */
  name: string;
}

/**
 * Fills the pattern of `pulumi:autonaming`, as the Pulumi engine does for each resource without a name.
 *
 * @param pattern text with `${project}`, `${stack}`, `${name}` and `${hex(<digits>)}`
 * @throws EngineError for any other expression. The real engine may support that expression
 */
export function proposeName(pattern: string, { project, stack, name }: Named): string {
  const values = new Map(Object.entries({ project, stack, name }));
  return pattern.replaceAll(/\$\{(\w+)(?:\((\d+)\))?\}/g, (expression, key: string, digits: string | undefined) => {
    if (key === "hex" && digits) return randomBytes(Number(digits)).toString("hex").slice(0, Number(digits));
    const value = digits === undefined ? values.get(key) : undefined;
    if (value === undefined)
      throw new EngineError(`pulumi:autonaming: the local engine does not support ${expression}`);
    return value;
  });
}

/**
 * Logical name of an AWS resource with an automatic name: the name without the project, the stack and the random
 * suffix. Other names stay as they are.
 */
export function logicalName(name: string): string {
  return /^snack-misaki-[a-z0-9]+-(.+)-[0-9a-f]{7}$/.exec(name)?.[1] ?? name;
}

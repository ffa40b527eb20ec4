/**
 * Removes the project, the stack and the random suffix from a resource's automatic AWS name. Returns all other names
 * unchanged.
 */
export function logicalName(name: string): string {
  return /^snack-misaki-[a-z0-9]+-(.+)-[0-9a-f]{7}$/.exec(name)?.[1] ?? name;
}

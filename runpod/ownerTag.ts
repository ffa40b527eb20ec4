/**
 * Environment variable that stores a template's owner, `<project>/<stack>`. The template's readme is not used because
 * REST v2 does not have it.
 */
export const OWNER_TAG = "SNACK_MISAKI_STACK";

/**
 * Environment variable of an endpoint created through REST v2. It stores the id of the template that the endpoint
 * follows.
 */
export const TEMPLATE_TAG = "SNACK_MISAKI_TEMPLATE";

/** Adds the owner tag to a template's environment. */
export function addOwnerTag(env: Record<string, string>, owner: string): Record<string, string> {
  return { ...env, [OWNER_TAG]: owner };
}

/**
 * Splits an environment into the variables without tags and the owner. The owner is undefined if the owner tag is
 * missing.
 */
export function splitOwnerTag(env: Record<string, string>): { env: Record<string, string>; owner: string | undefined } {
  const { [OWNER_TAG]: owner, [TEMPLATE_TAG]: _, ...own } = env;
  return { env: own, owner };
}

/** Prefix of the names of a stack's registry credentials: their name is the only field that can carry an owner tag. */
export function ownerNamePrefix(owner: string): string {
  return `${owner.replaceAll("/", "-")}-`;
}

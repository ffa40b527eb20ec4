/**
 * Environment variable that stores a template's owner, `<project>/<stack>`. The tag is not in the template's readme,
 * because templates of REST v2 have no readme.
 */
export const OWNER_TAG = "SNACK_MISAKI_STACK";

/**
 * Environment variable of an endpoint created through REST v2. It stores the id of the template whose container
 * settings the endpoint uses.
 */
export const TEMPLATE_TAG = "SNACK_MISAKI_TEMPLATE";

/** Adds the owner tag to a template's environment. */
export function addOwnerTag(env: Record<string, string>, owner: string): Record<string, string> {
  return { ...env, [OWNER_TAG]: owner };
}

/**
 * Splits an environment into two parts: the variables without the tags, and the owner. The owner is undefined if the
 * owner tag is missing.
 */
export function splitOwnerTag(env: Record<string, string>): { env: Record<string, string>; owner: string | undefined } {
  const { [OWNER_TAG]: owner, [TEMPLATE_TAG]: _, ...own } = env;
  return { env: own, owner };
}

/**
 * Prefix of the names of a stack's registry credentials and secrets. The prefix is the owner tag, because these kinds
 * have no other field for a tag.
 */
export function ownerNamePrefix(owner: string): string {
  return `${owner.replaceAll("/", "-")}-`;
}

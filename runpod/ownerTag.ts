/**
 * The environment variable that says which stack made a template: `<project>/<stack>`. In the environment rather than in
 * the template's readme because REST v2 has no readme.
 */
export const MARK = "SNACK_MISAKI_STACK";

/** The variable that says, in the environment of an endpoint made through REST v2, which template it follows: its id. */
export const TEMPLATE_MARK = "SNACK_MISAKI_TEMPLATE";

/** A template's environment with our mark. */
export function withMark(env: Record<string, string>, owner: string): Record<string, string> {
  return { ...env, [MARK]: owner };
}

/** Takes an environment apart: its own variables, and the stack that made it (undefined: none of ours). */
export function splitMark(env: Record<string, string>): { env: Record<string, string>; owner: string | undefined } {
  const { [MARK]: owner, [TEMPLATE_MARK]: _, ...own } = env;
  return { env: own, owner };
}

/** What the name of a stack's registry credential begins with: a credential has nothing but its name to carry a mark. */
export function namePrefix(owner: string): string {
  return `${owner.replaceAll("/", "-")}-`;
}

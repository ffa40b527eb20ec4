/**
 * The environment variable that says which stack made a template: `<project>/<stack>`. In the environment rather than in
 * the template's readme because REST v2 has no readme.
 */
export const MARK = "SNACK_MISAKI_STACK";

/** A template's environment with our mark. */
export function withMark(env: Record<string, string>, owner: string): Record<string, string> {
  return { ...env, [MARK]: owner };
}

/** Takes a template's environment apart: its own variables, and the stack that made it (undefined: none of ours). */
export function splitMark(env: Record<string, string>): { env: Record<string, string>; owner: string | undefined } {
  const { [MARK]: owner, ...own } = env;
  return { env: own, owner };
}

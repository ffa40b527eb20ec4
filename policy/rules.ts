import type { Problem, Rule, StackResource } from "./rule";
import { accessRules } from "./rules/access";
import { dataRules } from "./rules/data";
import { operationsRules } from "./rules/operations";
import { secretRules } from "./rules/secrets";

/** All rules of the pack. */
export const rules: Rule[] = [...dataRules, ...accessRules, ...secretRules, ...operationsRules];

/** Violations of one rule in a stack. */
export function problemsOf({ check, checkStack }: Rule, resources: StackResource[]): Problem[] {
  const ofEach = resources.flatMap((resource) => {
    const problem = check?.(resource);
    return problem === undefined ? [] : [{ resource, problem }];
  });
  return [...ofEach, ...(checkStack?.(resources) ?? [])];
}

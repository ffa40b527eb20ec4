import {
  PolicyPack,
  type ReportViolation,
  type ResourceValidationPolicy,
  type StackValidationPolicy,
} from "@pulumi/policy";
import type { Rule, StackResource } from "./rule";
import { rules } from "./rules";

/** A resource as CrossGuard passes it to a policy. */
interface PolicyResource {
  type: string;
  name: string;
  urn: string;
  props: Record<string, unknown>;
  opts: { protect: boolean };
}

function stackResource({ type, name, props, opts }: PolicyResource): StackResource {
  return { type, name, props, isProtected: opts.protect };
}

/**
 * Converts a rule. A rule about single resources runs before each resource is created or changed, so that a violation
 * stops the deployment before any harm.
 */
function policiesOf(rule: Rule): (ResourceValidationPolicy | StackValidationPolicy)[] {
  const { name, description, advice, check, checkStack } = rule;
  const text = (problem: string) => `${problem}. ${advice}`;
  return [
    ...(check
      ? [
          {
            name,
            description,
            validateResource: (resource: PolicyResource, report: ReportViolation) => {
              const problem = check(stackResource(resource));
              if (problem !== undefined) report(text(problem));
            },
          },
        ]
      : []),
    ...(checkStack
      ? [
          {
            name,
            description,
            validateStack: ({ resources }: { resources: PolicyResource[] }, report: ReportViolation) => {
              const urns = new Map(resources.map((resource) => [stackResource(resource), resource.urn] as const));
              for (const { resource, problem } of checkStack([...urns.keys()]))
                report(text(problem), urns.get(resource));
            },
          },
        ]
      : []),
  ];
}

new PolicyPack("snack-misaki", {
  description: "Rules of Snack Misaki's stacks.",
  enforcementLevel: "mandatory",
  policies: rules.flatMap(policiesOf),
});

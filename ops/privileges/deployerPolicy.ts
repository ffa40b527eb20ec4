import { deployedTypes, type Scope } from "./deployedTypes";

/** One statement of a policy. */
interface PolicyStatement {
  Effect: "Allow";
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** An IAM policy as an object. `JSON.stringify` makes the text for IAM. */
export interface PolicyDocument {
  Version: "2012-10-17";
  Statement: PolicyStatement[];
}

/** IAM's limit of all inline policies of a role together, in characters without white space. */
export const MAX_INLINE_POLICY_CHARS = 10_240;

/**
 * Policy of a role that runs `pulumi up`, `pulumi refresh` and `pulumi destroy` for one stack. It is limited to the
 * stack's names wherever AWS allows it.
 *
 * @param types types of the stack's custom resources, such as `aws:dynamodb/table:Table`
 * @throws Error that names the types without a row in `deployedTypes`
 */
export function deployerPolicy(types: Iterable<string>, scope: Scope): PolicyDocument {
  return policyOf(types, scope, ({ read, readSecret = [], write }) => [...read, ...readSecret, ...write]);
}

/**
 * Policy of a role that runs `pulumi preview` for one stack. It changes nothing and reads no secret, so a preview with
 * `--refresh` fails at the parameters.
 *
 * @param types as for `deployerPolicy`
 * @throws Error that names the types without a row in `deployedTypes`
 */
export function previewPolicy(types: Iterable<string>, scope: Scope): PolicyDocument {
  return policyOf(types, scope, ({ read }) => read, isReading);
}

function isReading(action: string): boolean {
  return /:(Describe|Get|List)/.test(action);
}

type Row = (typeof deployedTypes)[string];

function policyOf(
  types: Iterable<string>,
  scope: Scope,
  actionsOf: (row: Row) => string[],
  isAllowedAnywhere: (action: string) => boolean = () => true,
): PolicyDocument {
  const rows = rowsOf(types);
  const anywhere = rows.flatMap((row) => row.anywhere ?? []).filter(isAllowedAnywhere);
  const limited = rows.map((row) => ({
    actions: actionsOf(row),
    rest: { Resource: row.resources(scope), ...(row.condition && { Condition: row.condition(scope) }) },
  }));
  const groups = Map.groupBy([...limited, { actions: anywhere, rest: { Resource: ["*"] } }], ({ rest }) =>
    JSON.stringify(rest),
  );
  const statements = [...groups.values()].map((group) => ({
    Effect: "Allow" as const,
    Action: [...new Set(group.flatMap(({ actions }) => actions))].sort(),
    ...(group[0]?.rest ?? { Resource: [] }),
  }));
  return { Version: "2012-10-17", Statement: statements.filter(({ Action }) => Action.length > 0) };
}

function rowsOf(types: Iterable<string>): Row[] {
  const unique = [...new Set(types)].sort();
  const unknown = unique.filter((type) => !deployedTypes[type]);
  if (unknown.length > 0) {
    throw new Error(
      `${unknown.join(", ")}: no AWS actions are known. Add a row to ops/privileges/deployedTypes.ts, or nobody can deploy the type with the deployer's policy.`,
    );
  }
  return unique.flatMap((type) => deployedTypes[type] ?? []).flatMap((row) => [row, ...(row.also ?? [])]);
}

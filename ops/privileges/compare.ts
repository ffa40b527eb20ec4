import type { RecordedCall } from "../../local/aws/iam/callRecord";
import { wildcard } from "../../local/aws/iam/policy";
import { isWildcard, reasonOf } from "../../policy/knownWildcards";
import type { Grant } from "./grants";

/** A permission of a function, or of a schedule that starts one. */
interface Permission {
  function: string;
  action: string;
  resource: string;
  /** Kinds of DynamoDB items, such as `rate#guest#`. */
  keys?: string;
}

/** Differences between the policies of a program and its calls. */
export interface Comparison {
  /** Number of roles that were compared. */
  functions: number;
  /** Calls that the policy of their function does not allow. */
  missing: Permission[];
  /** Permissions that no test has used. */
  unused: Permission[];
  /** Permissions with a `*`, and the reason for each. A wildcard without a reason is an error. */
  wildcards: (Permission & { reason?: string })[];
}

/**
 * Compares permissions with recorded calls.
 *
 * @param calls ignores the calls of roles that have no permissions, because they belong to another program
 */
export function compare(grants: Grant[], calls: RecordedCall[]): Comparison {
  const roles = new Set(grants.map(({ role }) => role));
  const own = calls.filter(({ role }) => roles.has(role));
  const missing = own.filter((call) => !isCovered(call, grants));
  const unused = grants.filter((grant) => !own.some((call) => uses(call, grant)));
  const wildcards = grants.filter(({ action, resource }) => isWildcard(action, resource));
  return {
    functions: roles.size,
    missing: distinct(
      missing.map(({ keys, ...call }) => permission({ ...call, ...(keys && { keys: keys.join(" ") }) })),
    ),
    unused: distinct(unused.map(permission)),
    wildcards: distinct(wildcards.map(permission)).map((each) => {
      const reason = reasonOf(each.action, each.resource);
      return { ...each, ...(reason && { reason }) };
    }),
  };
}

/** Whether the permissions agree with the calls, and every wildcard has a reason. */
export function isClean({ missing, unused, wildcards }: Comparison): boolean {
  return missing.length + unused.length === 0 && wildcards.every(({ reason }) => reason !== undefined);
}

function isCovered(call: RecordedCall, grants: Grant[]): boolean {
  const fitting = grants.filter((grant) => isFor(call, grant));
  return (call.keys ?? [""]).every((key) => fitting.some((grant) => isKey(key, grant)));
}

function uses(call: RecordedCall, grant: Grant): boolean {
  return isFor(call, grant) && (call.keys ?? [""]).some((key) => isKey(key, grant));
}

function isFor(call: RecordedCall, { role, action, resource }: Grant): boolean {
  return call.role === role && wildcard(action).test(call.action) && wildcard(resource).test(call.resource);
}

function isKey(key: string, { keys }: Grant): boolean {
  return keys === undefined || wildcard(keys).test(key);
}

function permission({ role, action, resource, keys }: Grant): Permission {
  return { function: role, action, resource, ...(keys !== undefined && { keys }) };
}

function distinct<T>(values: T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

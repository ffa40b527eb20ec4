import { isObject } from "../../support/protocol/value";
import type { AwsAccount } from "../support/account";
import { policy, role, rolePolicy, rolePolicyAttachment } from "./iam";

/** One thing that somebody wants to do. */
interface Access {
  action: string;
  /** ARN; what a trust policy is asked without. */
  resource?: string;
  /** The service that asks, such as `scheduler.amazonaws.com`. */
  service?: string;
}

/** Whether a role's trust policy lets a service take it on. A role that does not exist trusts nobody. */
export function trusts(account: AwsAccount, roleArn: string, service: string): boolean {
  const trust = roleOf(account, roleArn)?.outputs.assumeRolePolicy;
  return trust !== undefined && allows([String(trust)], { action: "sts:AssumeRole", service });
}

/**
 * Whether a role's policies allow an action on a resource. Conditions are taken as met, and AWS's own managed policies,
 * whose text is not here, as allowing it.
 */
export function permits(account: AwsAccount, roleArn: string, access: Required<Pick<Access, "action" | "resource">>) {
  const held = roleOf(account, roleArn);
  if (held === undefined) return false;
  const own = (type: string) => account.list(type).filter(({ outputs }) => outputs.role === held.id);
  const attached = own(rolePolicyAttachment.type).map(({ outputs }) => String(outputs.policyArn));
  if (attached.some((arn) => arn.startsWith(`arn:${account.partition}:iam::aws:policy/`))) return true;
  const documents = [
    ...own(rolePolicy.type),
    ...account.list(policy.type).filter(({ outputs }) => attached.includes(String(outputs.arn))),
  ];
  return allows(
    documents.map(({ outputs }) => String(outputs.policy)),
    access,
  );
}

/** A pattern as policies have them: `*` stands for anything, slashes included, `?` for one character. */
export function wildcard(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`);
}

function roleOf(account: AwsAccount, arn: string) {
  return account.list(role.type).find(({ outputs }) => outputs.arn === arn);
}

/** One statement must allow it and none deny it. */
function allows(documents: string[], access: Access): boolean {
  const effects = documents
    .flatMap((json) => list(JSON.parse(json).Statement))
    .filter(isObject)
    .filter((statement) => applies(statement, access))
    .map((statement) => statement.Effect);
  return effects.includes("Allow") && !effects.includes("Deny");
}

function applies(statement: Record<string, unknown>, { action, resource, service }: Access): boolean {
  const { Action, Resource, Principal } = statement;
  const isOne = (patterns: unknown, value: string) => list(patterns).some((one) => wildcard(String(one)).test(value));
  return (
    isOne(Action, action) &&
    (resource === undefined || isOne(Resource, resource)) &&
    (service === undefined || Principal === "*" || (isObject(Principal) && isOne(Principal.Service, service)))
  );
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

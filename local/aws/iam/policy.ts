import { isObject } from "../../support/protocol/value";
import type { AwsAccount } from "../support/account";
import { policy, role, rolePolicy, rolePolicyAttachment } from "./resources";

/** A request that policies allow or deny. */
interface Access {
  action: string;
  /** ARN; absent in checks of a trust policy. */
  resource?: string;
  /** The calling service, such as `scheduler.amazonaws.com`. */
  service?: string;
  /** Account for which the service calls. */
  sourceAccount?: string;
  /** Values of condition keys that have several values, such as `dynamodb:LeadingKeys`. */
  context?: Record<string, string[]>;
}

/**
 * Whether a role's trust policy lets a service of this account assume it. False for a role that does not exist. The
 * only supported condition is `aws:SourceAccount`.
 */
export function trusts(account: AwsAccount, roleArn: string, service: string): boolean {
  const trust = roleOf(account, roleArn)?.outputs.assumeRolePolicy;
  const access = { action: "sts:AssumeRole", service, sourceAccount: account.accountId };
  return trust !== undefined && allows([String(trust)], access);
}

/**
 * Whether a role's policies allow an action on a resource. Ignores all conditions except `ForAllValues:StringLike`. An
 * attached policy managed by AWS allows everything, because its text is not available locally.
 */
export function permits(account: AwsAccount, roleArn: string, access: Access & { resource: string }) {
  const found = roleOf(account, roleArn);
  if (found === undefined) return false;
  const ofRole = (type: string) => account.list(type).filter(({ outputs }) => outputs.role === found.id);
  const attached = ofRole(rolePolicyAttachment.type).map(({ outputs }) => String(outputs.policyArn));
  if (attached.some((arn) => arn.startsWith(`arn:${account.partition}:iam::aws:policy/`))) return true;
  const documents = [
    ...ofRole(rolePolicy.type),
    ...account.list(policy.type).filter(({ outputs }) => attached.includes(String(outputs.arn))),
  ];
  return allows(
    documents.map(({ outputs }) => String(outputs.policy)),
    access,
  );
}

/** Converts a pattern of a policy: `*` matches any text, slashes included, and `?` matches one character. */
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

/** Whether at least one statement allows the access and no statement denies it. */
function allows(documents: string[], access: Access): boolean {
  const effects = documents
    .flatMap((json) => list(JSON.parse(json).Statement))
    .filter(isObject)
    .filter((statement) => applies(statement, access))
    .map((statement) => statement.Effect);
  return effects.includes("Allow") && !effects.includes("Deny");
}

function applies(statement: Record<string, unknown>, access: Access): boolean {
  const { action, resource, service, sourceAccount, context = {} } = access;
  const { Action, Resource, Principal, Condition } = statement;
  const matches = (patterns: unknown, value: string) => list(patterns).some((one) => wildcard(String(one)).test(value));
  return (
    matches(Action, action) &&
    (sourceAccount === undefined || isFrom(sourceAccount, Condition)) &&
    (resource === undefined || matches(Resource, resource)) &&
    (service === undefined || Principal === "*" || (isObject(Principal) && matches(Principal.Service, service))) &&
    Object.entries(patternsOf(Condition)).every(([key, patterns]) =>
      (context[key] ?? []).every((value) => matches(patterns, value)),
    )
  );
}

/**
 * Whether a statement's condition accepts the account. Only a missing condition or `aws:SourceAccount` can.
 */
function isFrom(account: string, condition: unknown): boolean {
  if (condition === undefined) return true;
  const expected = { StringEquals: { "aws:SourceAccount": account } };
  return JSON.stringify(condition) === JSON.stringify(expected);
}

/**
 * Patterns of `ForAllValues:StringLike`, by condition key. Each value of a key must match one of the key's patterns.
 */
function patternsOf(condition: unknown): Record<string, unknown> {
  const patterns = isObject(condition) ? condition["ForAllValues:StringLike"] : undefined;
  return isObject(patterns) ? patterns : {};
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

import { isObject } from "../../support/protocol/value";
import type { AwsAccount } from "../support/account";
import { policy, role, rolePolicy, rolePolicyAttachment } from "./resources";

/** A request that policies allow or deny. */
export interface Access {
  /** `<service>:<Action>`. */
  action: string;
  /** ARN, or `*` for an action that IAM cannot restrict to a resource. */
  resource: string;
  /** Values of condition keys, such as `dynamodb:LeadingKeys`. */
  context?: Record<string, string[]>;
}

/** Whether a role's trust policy allows a service to assume the role. False for a role that does not exist. */
export function trusts(account: AwsAccount, roleArn: string, service: string): boolean {
  const trust = roleOf(account, roleArn)?.outputs.assumeRolePolicy;
  const isService = ({ Principal }: Statement) =>
    Principal === "*" || (isObject(Principal) && matches(Principal.Service, service));
  const context = { "aws:SourceAccount": [account.accountId] };
  return trust !== undefined && decides([String(trust)], { action: "sts:AssumeRole", context }, isService);
}

/**
 * Whether a role's policies allow an action on a resource. An attached policy managed by AWS allows everything, because
 * its text is not available locally.
 */
export function permits(account: AwsAccount, roleArn: string, access: Access): boolean {
  const found = roleOf(account, roleArn);
  if (found === undefined) return false;
  const ofRole = (type: string) => account.list(type).filter(({ outputs }) => outputs.role === found.id);
  const attached = ofRole(rolePolicyAttachment.type).map(({ outputs }) => String(outputs.policyArn));
  if (attached.some((arn) => arn.startsWith(`arn:${account.partition}:iam::aws:policy/`))) return true;
  const documents = [
    ...ofRole(rolePolicy.type),
    ...account.list(policy.type).filter(({ outputs }) => attached.includes(String(outputs.arn))),
  ];
  const texts = documents.map(({ outputs }) => String(outputs.policy));
  return decides(texts, access, ({ Resource }) => matches(Resource, access.resource));
}

/** Converts a pattern of a policy: `*` matches any text, slashes included, and `?` matches one character. */
export function wildcard(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`, "s");
}

type Statement = Record<string, unknown>;

function roleOf(account: AwsAccount, arn: string) {
  return account.list(role.type).find(({ outputs }) => outputs.arn === arn);
}

/** Whether at least one statement allows the access and no statement denies it. */
function decides(
  documents: string[],
  { action, context = {} }: Omit<Access, "resource">,
  isFor: (statement: Statement) => boolean,
): boolean {
  const effects = documents
    .flatMap((json) => list(JSON.parse(json).Statement))
    .filter(isObject)
    .filter((statement) => matches(statement.Action, action) && isFor(statement) && meets(statement.Condition, context))
    .map((statement) => statement.Effect);
  return effects.includes("Allow") && !effects.includes("Deny");
}

function matches(patterns: unknown, value: string): boolean {
  return list(patterns).some((one) => wildcard(String(one)).test(value));
}

type Operator = (values: string[], expected: string[]) => boolean;

/** The condition operators that the local IAM supports. */
const operators: Record<string, Operator> = {
  StringEquals: (values, expected) => values.length > 0 && values.every((value) => expected.includes(value)),
  // As in IAM, this is true for a request without the key.
  "ForAllValues:StringLike": (values, patterns) => values.every((value) => matches(patterns, value)),
};

/** Whether a request meets all parts of a condition. A condition with an unsupported operator is never met. */
function meets(condition: unknown, context: Record<string, string[]>): boolean {
  if (condition === undefined) return true;
  if (!isObject(condition)) return false;
  return Object.entries(condition).every(([operator, keys]) => {
    const test = operators[operator];
    if (!test || !isObject(keys)) return false;
    return Object.entries(keys).every(([key, expected]) => test(context[key] ?? [], list(expected).map(String)));
  });
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

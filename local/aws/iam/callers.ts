import { createHash } from "node:crypto";
import type { AwsAccount } from "../support/account";
import { signatureScope } from "../support/signature";
import { recordCall } from "./callRecord";
import { type Access, permits } from "./policy";
import { role } from "./resources";

/** Access key of the temporary credentials that a function gets for its role. */
export function accessKeyOf(roleArn: string): string {
  return `ASIA${createHash("sha256").update(roleArn).digest("hex").slice(0, 16).toUpperCase()}`;
}

/**
 * Returns the ARN of the role whose credentials have signed a request.
 *
 * @returns undefined for all other credentials. They belong to an operator and allow everything
 */
export function callingRole(account: AwsAccount, authorization = ""): string | undefined {
  const accessKeyId = signatureScope(authorization)?.accessKeyId;
  const arns = account.list(role.type).map(({ outputs }) => String(outputs.arn));
  return arns.find((arn) => accessKeyOf(arn) === accessKeyId);
}

/**
 * Checks a request against the policies of the role that signed the request.
 *
 * @param accesses returns the permissions that the request needs
 * @returns the same text as `refusal`. Undefined for an operator's request
 */
export function denial(
  account: AwsAccount,
  authorization: string | undefined,
  accesses: () => Access[],
): string | undefined {
  const roleArn = callingRole(account, authorization);
  return roleArn === undefined ? undefined : refusal(account, roleArn, accesses());
}

/**
 * Checks accesses against the policies of a role, and records them. A service that acts for a role calls this function
 * directly, because the service signs no request.
 *
 * @returns undefined when the policies allow all accesses. Otherwise the text of AWS's AccessDeniedException for the
 *   first access that they do not allow
 */
export function refusal(account: AwsAccount, roleArn: string, accesses: Access[]): string | undefined {
  for (const access of accesses) recordCall(account, roleArn, access);
  const refused = accesses.find((access) => !permits(account, roleArn, access));
  if (!refused) return undefined;
  const { action, resource } = refused;
  const session = `${roleArn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")}/local`;
  return `User: ${session} is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;
}

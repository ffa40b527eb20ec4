import { createHash } from "node:crypto";
import type { AwsAccount } from "../support/account";
import { signatureScope } from "../support/signature";
import { role } from "./resources";

/** Access key of the temporary credentials that a function gets for its role. */
export function accessKeyOf(roleArn: string): string {
  return `ASIA${createHash("sha256").update(roleArn).digest("hex").slice(0, 16).toUpperCase()}`;
}

/**
 * ARN of the role whose credentials have signed a request.
 *
 * @returns undefined for all other credentials; they are an operator's and allow everything
 */
export function callingRole(account: AwsAccount, authorization = ""): string | undefined {
  const accessKeyId = signatureScope(authorization)?.accessKeyId;
  const arns = account.list(role.type).map(({ outputs }) => String(outputs.arn));
  return arns.find((arn) => accessKeyOf(arn) === accessKeyId);
}

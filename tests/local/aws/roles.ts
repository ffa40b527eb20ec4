import { accessKeyOf } from "../../../local/aws/iam/callers";
import { role, rolePolicy } from "../../../local/aws/iam/resources";
import type { AwsAccount } from "../../../local/aws/support/account";

/** One statement that allows actions on resources. */
export interface Allowed {
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** Creates a role with one inline policy, or replaces the policy. Returns the role's ARN and its access key. */
export function putRole(
  account: AwsAccount,
  name: string,
  ...allowed: Allowed[]
): { arn: string; accessKeyId: string } {
  const arn = `arn:aws:iam::${account.accountId}:role/${name}`;
  const Statement = allowed.map((each) => ({ Effect: "Allow", ...each }));
  const policy = JSON.stringify({ Version: "2012-10-17", Statement });
  account.put({ type: role.type, id: name, inputs: {}, outputs: { name, arn } });
  account.put({ type: rolePolicy.type, id: `${name}:inline`, inputs: {}, outputs: { role: name, policy } });
  return { arn, accessKeyId: accessKeyOf(arn) };
}

import type * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";
import type { Statement } from "./lambda";

/** A secret in SSM Parameter Store. Functions get its name and read it at run time. */
export type Secret = aws.ssm.Parameter;

/** Arguments of `createSecret`. */
interface SecretArgs {
  /** Name of the parameter, from `stackNames`. */
  name: string;
  value: pulumi.Output<string>;
}

/** Creates a SecureString parameter. */
export function createSecret(resourceName: string, args: SecretArgs, opts: pulumi.CustomResourceOptions): Secret {
  return new aws.ssm.Parameter(resourceName, { ...args, type: "SecureString" }, opts);
}

/**
 * Allows reading secrets: one statement, or none without secrets. Parameter Store decrypts with the account's own aws/ssm
 * key, which needs no statement.
 */
export function readSecrets(...secrets: ({ arn: pulumi.Output<string> } | undefined)[]): Statement[] {
  const arns = secrets.flatMap((secret) => secret?.arn ?? []);
  return arns.length > 0 ? [{ Action: ["ssm:GetParameters"], Resource: arns }] : [];
}

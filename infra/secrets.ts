import type * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";
import type { Statement } from "./lambda";

/** A secret in SSM Parameter Store. Functions receive only its name and read the value at run time. */
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
 * Allows reading secrets. Returns one statement, or none when no secret exists. Parameter Store decrypts with the
 * account's own aws/ssm key, which needs no permission.
 */
export function readSecrets(...secrets: ({ arn: pulumi.Output<string> } | undefined)[]): Statement[] {
  const arns = [...new Set(secrets)].flatMap((secret) => secret?.arn ?? []);
  return arns.length > 0 ? [{ Action: ["ssm:GetParameters"], Resource: arns }] : [];
}

import * as kms from "@pulumi/aws/kms";
import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import { PIPELINE } from "./policies";

/** Arguments of `State`. */
export interface StateArgs {
  /** Name of the bucket. */
  bucket: string;
  environments: string[];
}

/**
 * The bucket of Pulumi's state, and a key per environment that encrypts the secrets in the state and in the stack's file.
 * Neither can be deleted by this program.
 */
export class State extends pulumi.ComponentResource {
  /** ARNs of the keys by environment. */
  readonly keys: Record<string, pulumi.Output<string>>;

  constructor(name: string, { bucket: bucketName, environments }: StateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:github:State", name, {}, opts);
    const child = { parent: this };
    const kept = { parent: this, protect: true };
    const bucket = new s3.Bucket(name, { bucket: bucketName }, kept);
    const of = { bucket: bucket.id };
    // Every version stays for 90 days: a broken state can be restored.
    new s3.BucketVersioning(name, { ...of, versioningConfiguration: { status: "Enabled" } }, child);
    new s3.BucketLifecycleConfiguration(
      name,
      {
        ...of,
        rules: [
          { id: "old-versions", status: "Enabled", filter: {}, noncurrentVersionExpiration: { noncurrentDays: 90 } },
        ],
      },
      child,
    );
    new s3.BucketServerSideEncryptionConfiguration(
      name,
      { ...of, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      child,
    );
    const access = new s3.BucketPublicAccessBlock(
      name,
      { ...of, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      child,
    );
    new s3.BucketPolicy(name, { ...of, policy: bucket.arn.apply(onlyTls) }, { parent: this, dependsOn: access });

    const keys = environments.map((environment) => {
      const key = new kms.Key(
        environment,
        { description: `Secrets of the stack ${environment}`, enableKeyRotation: true, deletionWindowInDays: 30 },
        kept,
      );
      new kms.Alias(environment, { name: `alias/${PIPELINE}-${environment}`, targetKeyId: key.keyId }, child);
      return [environment, key.arn] as const;
    });
    this.keys = Object.fromEntries(keys);
    this.registerOutputs({});
  }
}

/** Bucket policy that refuses every request without TLS. */
function onlyTls(bucketArn: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "OnlyTls",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [bucketArn, `${bucketArn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  });
}

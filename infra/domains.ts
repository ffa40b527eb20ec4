import type * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";

interface CertificateArgs {
  /** The only name of the certificate. */
  domain: string;
  /** Id of the hosted zone that contains the name. */
  zone: string;
  /** Default: the stack's Region. */
  region?: string;
}

/**
 * Creates a certificate, and the record in Route 53 with which ACM checks who owns the name. ACM renews the certificate as
 * long as the record exists.
 *
 * @returns the ARN, after ACM has issued the certificate
 */
export function createCertificate(
  name: string,
  { domain, zone, region }: CertificateArgs,
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const place = region ? { region } : {};
  const certificate = new aws.acm.Certificate(name, { domainName: domain, validationMethod: "DNS", ...place }, child);
  const proof = certificate.domainValidationOptions.apply(([option]) => {
    if (!option) throw new Error(`ACM has no validation record for ${domain}`);
    return option;
  });
  const record = new aws.route53.Record(
    `${name}-validation`,
    {
      zoneId: zone,
      name: proof.resourceRecordName,
      type: proof.resourceRecordType,
      records: [proof.resourceRecordValue],
      ttl: 300,
    },
    child,
  );
  return new aws.acm.CertificateValidation(
    name,
    { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn], ...place },
    child,
  ).certificateArn;
}

interface AliasArgs {
  domain: string;
  /** Id of the hosted zone that contains the name. */
  zone: string;
  /** AWS's name of the resource, and the hosted zone of that name. */
  target: { name: pulumi.Input<string>; zoneId: pulumi.Input<string> };
  /** `A` is IPv4 and `AAAA` is IPv6. */
  types: ("A" | "AAAA")[];
}

/** Points a name to a resource of AWS. */
export function createAlias(
  name: string,
  { domain, zone, target, types }: AliasArgs,
  child: pulumi.CustomResourceOptions,
): aws.route53.Record[] {
  const aliases = [{ ...target, evaluateTargetHealth: false }];
  return types.map(
    (type) =>
      new aws.route53.Record(`${name}-${type.toLowerCase()}`, { zoneId: zone, name: domain, type, aliases }, child),
  );
}

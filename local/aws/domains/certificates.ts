import { randomUUID } from "node:crypto";
import { z } from "zod";
import { CLOUDFRONT_REGION } from "../../../names";
import type { AwsAccount } from "../support/account";
import type { Effects, ResourceType } from "../support/resource";
import { type Properties, text, texts } from "../support/values";
import { fqdn, record } from "./records";

/** A host name with at least one dot. */
export const hostName = z
  .string()
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/,
    "must be a fully qualified domain name in lower case",
  );

/** Whether a text is a host name with at least one dot. */
export function isHostName(text: string): boolean {
  return hostName.safeParse(text).success;
}

/**
 * aws:acm/certificate:Certificate with one name. ACM issues the certificate when aws:acm/certificateValidation finds
 * its DNS record.
 */
export const certificate: ResourceType = {
  type: "aws:acm/certificate:Certificate",
  isTaggable: true,
  inputs: z.looseObject({
    domainName: hostName,
    validationMethod: z.literal("DNS", "must be DNS: the local cloud sends no e-mail"),
    subjectAlternativeNames: z
      .undefined({ error: "must be missing: the local cloud supports certificates with one name" })
      .optional(),
    region: z.string().optional(),
  }),
  replaceOn: ["domainName", "validationMethod", "region"],
  id: ({ region }, account) =>
    `arn:aws:acm:${region ?? account.region}:${account.accountId}:certificate/${randomUUID()}`,
  computed: {
    arn: ({ id }) => id,
    status: () => "PENDING_VALIDATION",
    domainValidationOptions: ({ inputs }) => [
      {
        domainName: inputs.domainName,
        resourceRecordName: `_${randomUUID().replaceAll("-", "")}.${inputs.domainName}.`,
        resourceRecordType: "CNAME",
        resourceRecordValue: `_${randomUUID().replaceAll("-", "")}.acm-validations.aws.`,
      },
    ],
  },
};

/** aws:acm/certificateValidation:CertificateValidation. It exists only in Pulumi. */
export const certificateValidation: ResourceType = {
  type: "aws:acm/certificateValidation:CertificateValidation",
  inputs: z.looseObject({
    certificateArn: z.string().startsWith("arn:aws:acm:", "must be the ARN of a certificate"),
    validationRecordFqdns: z.array(z.string()).optional(),
    region: z.string().optional(),
  }),
  replaceOn: ["certificateArn", "validationRecordFqdns", "region"],
  // Certificates may be issued in the same millisecond, but the id is a time, as in the real provider. So the id is
  // unique only within its certificate.
  scope: ({ certificateArn }) => String(certificateArn),
  id: () => new Date().toISOString(),
  computed: {},
};

/** Issues a certificate whose validation record exists. Without the record, the real provider waits for 75 minutes. */
export function certificateValidationEffects(account: AwsAccount): Effects {
  return {
    async create({ outputs }) {
      const arn = String(outputs.certificateArn);
      const found = account.get(certificate.type, arn);
      const region = String(outputs.region ?? account.region);
      if (found === undefined || regionOf(arn) !== region)
        throw new Error(`ResourceNotFoundException: Could not find certificate ${arn} in ${region}.`);
      for (const option of found.outputs.domainValidationOptions as Properties[]) {
        if (hasRecord(account, option)) continue;
        throw new Error(
          `timeout while waiting for state to become 'ISSUED' (last state: 'PENDING_VALIDATION', timeout: 1h15m0s): there is no ${option.resourceRecordType} record ${option.resourceRecordName}`,
        );
      }
      return undefined;
    },
  };
}

function hasRecord(account: AwsAccount, option: Properties): boolean {
  return account
    .list(record.type)
    .some(
      ({ outputs }) =>
        fqdn(String(outputs.name)) === fqdn(String(option.resourceRecordName)) &&
        outputs.type === option.resourceRecordType &&
        texts(outputs.records).includes(String(option.resourceRecordValue)),
    );
}

/**
 * Checks a certificate as a service does before it uses the certificate.
 *
 * @returns the reason why the service refuses the certificate, or undefined
 */
export function refusedCertificate(
  account: AwsAccount,
  arn: unknown,
  domain: string,
  region: string,
): string | undefined {
  const found = account.get(certificate.type, String(arn));
  if (found === undefined) return `The certificate ${arn} does not exist.`;
  if (regionOf(found.id) !== region)
    return `The certificate must be in ${region}, but ${found.id} is in ${regionOf(found.id)}.`;
  if (!isIssued(account, found.id)) return `The certificate ${found.id} is not issued.`;
  const name = text(found.outputs, "domainName");
  return name === domain ? undefined : `The certificate ${found.id} does not cover ${domain}.`;
}

/** Like `refusedCertificate`, for CloudFront and for Cognito's custom domains. */
export function refusedByCloudFront(account: AwsAccount, arn: unknown, domain: string): string | undefined {
  return refusedCertificate(account, arn, domain, CLOUDFRONT_REGION);
}

/** Whether ACM has issued a certificate. The program waits for this with aws:acm/certificateValidation. */
function isIssued(account: AwsAccount, arn: string): boolean {
  return account.list(certificateValidation.type).some(({ outputs }) => outputs.certificateArn === arn);
}

function regionOf(arn: string): string {
  return arn.split(":")[3] ?? "";
}

import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { userPool, userPoolDomain } from "../../../local/aws/cognito";
import { certificate, certificateValidation } from "../../../local/aws/domains/certificates";
import { distribution } from "../../../local/aws/domains/distribution";
import { record } from "../../../local/aws/domains/records";
import { apiMapping, domainName } from "../../../local/aws/httpApi/domainName";
import { api } from "../../../local/aws/httpApi/resources";
import { startTestCloud } from "./fixture";

// The double refuses the certificates, records and host names that AWS refuses.
let cloud: Awaited<ReturnType<typeof startTestCloud>>;
beforeAll(async () => {
  cloud = await startTestCloud({ region: "ap-northeast-1" });
});
afterAll(() => cloud[Symbol.asyncDispose]());

const zoneId = "Z0123456789ABC";
let number = 0;

/**
 * Creates a certificate. By default, also creates the record and the validation, so that ACM issues the certificate.
 */
async function certify(domain: string, { region = "us-east-1", issued = true } = {}): Promise<string> {
  const name = `certificate-${number++}`;
  const created = await cloud.engine.create(certificate.type, name, {
    domainName: domain,
    validationMethod: "DNS",
    region,
  });
  const [option] = created.outputs.domainValidationOptions as Record<string, string>[];
  if (!issued) return created.id;
  await cloud.engine.create(record.type, name, {
    zoneId,
    name: option?.resourceRecordName,
    type: option?.resourceRecordType,
    records: [option?.resourceRecordValue],
    ttl: 300,
  });
  await cloud.engine.create(certificateValidation.type, name, { certificateArn: created.id, region });
  return created.id;
}

const failures = async (type: string, inputs: Record<string, unknown>) =>
  (await cloud.engine.check(type, "checked", inputs)).failures.map(({ reason }) => reason);

describe("The validation of a certificate", () => {
  it("fails without the DNS record, as the real provider does after 75 minutes", async () => {
    const arn = await certify("a.example.com", { issued: false });
    const validated = cloud.engine.create(certificateValidation.type, "v1", {
      certificateArn: arn,
      region: "us-east-1",
    });
    await expect(validated).rejects.toThrow(/timeout while waiting for state to become 'ISSUED'.*no CNAME record _/);
  });

  it("fails in another Region than the certificate's", async () => {
    const arn = await certify("b.example.com", { issued: false });
    const validated = cloud.engine.create(certificateValidation.type, "v2", { certificateArn: arn });
    await expect(validated).rejects.toThrow(/Could not find certificate .* in ap-northeast-1/);
  });

  it("succeeds for two certificates in the same millisecond", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const arns = [await certify("c.example.com"), await certify("d.example.com")];
    const issued = cloud.aws.account.list(certificateValidation.type).map(({ outputs }) => outputs.certificateArn);
    expect(issued).toEqual(expect.arrayContaining(arns));
  });
});

describe("A record", () => {
  it.each([
    [
      "both records and aliases",
      { ttl: 1, records: ["1.2.3.4"], aliases: [{ name: "x.", zoneId, evaluateTargetHealth: false }] },
      /^records: exactly one/,
    ],
    ["neither records nor aliases", {}, /^records: exactly one/],
    ["records without a ttl", { records: ["1.2.3.4"] }, /^ttl: is required with records/],
    [
      "a zone name where the zone id belongs",
      { zoneId: "example.com", ttl: 1, records: ["1.2.3.4"] },
      /^zoneId: must be the id/,
    ],
  ])("is refused when it has %s", async (_, inputs, reason) => {
    const found = await failures(record.type, { zoneId, name: "a.example.com", type: "A", ...inputs });
    expect(
      found.some((line) => reason.test(line)),
      found.join("\n"),
    ).toBe(true);
  });

  it("is refused when it exists already", async () => {
    const inputs = { zoneId, name: "twice.example.com", type: "A", ttl: 60, records: ["192.0.2.1"] };
    await cloud.engine.create(record.type, "one", inputs);
    await expect(cloud.engine.create(record.type, "two", inputs)).rejects.toThrow(/already exists/);
  });
});

describe("A domain name of API Gateway", () => {
  const named = (certificateArn: string, domain: string) =>
    cloud.engine.create(domainName.type, `name-${number++}`, {
      domainName: domain,
      domainNameConfiguration: { certificateArn, endpointType: "REGIONAL", securityPolicy: "TLS_1_2" },
    });

  it("is refused when its certificate is not issued, is in another Region or covers another name", async () => {
    const [pending, far, other] = [
      await certify("api.example.com", { region: "ap-northeast-1", issued: false }),
      await certify("api.example.com"),
      await certify("other.example.com", { region: "ap-northeast-1" }),
    ];
    await expect(named(pending, "api.example.com")).rejects.toThrow(/is not issued/);
    await expect(named(far, "api.example.com")).rejects.toThrow(/must be in ap-northeast-1/);
    await expect(named(other, "api.example.com")).rejects.toThrow(/does not cover api\.example\.com/);
  });

  it("is required for a mapping, and the stage is also required", async () => {
    const { id: apiId } = await cloud.engine.create(api.type, "api", { protocolType: "HTTP" });
    const mapping = (domain: string) =>
      cloud.engine.create(apiMapping.type, `mapping-${number++}`, { apiId, domainName: domain, stage: "$default" });
    await expect(mapping("none.example.com")).rejects.toThrow(/Invalid domain name identifier/);
    await named(await certify("api2.example.com", { region: "ap-northeast-1" }), "api2.example.com");
    await expect(mapping("api2.example.com")).rejects.toThrow(/Invalid stage identifier/);
  });
});

describe("A custom domain of a user pool", () => {
  const domain = (userPoolId: string, inputs: Record<string, unknown>) =>
    cloud.engine.create(userPoolDomain.type, `domain-${number++}`, { userPoolId, ...inputs });

  it("can exist together with the prefix domain, but not with a second custom domain", async () => {
    const { id: pool } = await cloud.engine.create(userPool.type, "pool", {});
    await domain(pool, { domain: "snack" });
    await domain(pool, { domain: "auth.example.com", certificateArn: await certify("auth.example.com") });
    const second = domain(pool, { domain: "auth2.example.com", certificateArn: await certify("auth2.example.com") });
    await expect(second).rejects.toThrow(/already has a domain configured: auth\.example\.com/);
  });

  it("needs a certificate, and the certificate must be in us-east-1", async () => {
    const { id: pool } = await cloud.engine.create(userPool.type, "pool2", {});
    const near = await certify("auth3.example.com", { region: "ap-northeast-1" });
    await expect(domain(pool, { domain: "auth3.example.com", certificateArn: near })).rejects.toThrow(
      /must be in us-east-1/,
    );
    expect(await failures(userPoolDomain.type, { userPoolId: pool, domain: "auth3.example.com" })).toEqual([
      expect.stringMatching(/^certificateArn: is required for a custom domain/),
    ]);
  });
});

describe("A CloudFront distribution", () => {
  const inputs = (more: Record<string, unknown>, behavior: Record<string, unknown> = {}) => ({
    enabled: true,
    aliases: ["relay.example.com"],
    origins: [
      {
        originId: "relay",
        domainName: "x.lambda-url.ap-northeast-1.on.aws",
        customOriginConfig: {
          httpPort: 80,
          httpsPort: 443,
          originProtocolPolicy: "https-only",
          originSslProtocols: ["TLSv1.2"],
        },
      },
    ],
    defaultCacheBehavior: {
      targetOriginId: "relay",
      viewerProtocolPolicy: "https-only",
      allowedMethods: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
      cachedMethods: ["GET", "HEAD"],
      cachePolicyId: "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
      ...behavior,
    },
    restrictions: { geoRestriction: { restrictionType: "none" } },
    viewerCertificate: { acmCertificateArn: "arn", sslSupportMethod: "sni-only" },
    ...more,
  });

  it.each([
    [
      "POST without the other methods",
      inputs({}, { allowedMethods: ["GET", "HEAD", "POST"] }),
      /allowedMethods: must be one of/,
    ],
    [
      "an origin with a protocol",
      inputs({ origins: [{ ...inputs({}).origins[0], domainName: "https://x.example.com/" }] }),
      /must be a host name without/,
    ],
    ["an unknown origin", inputs({}, { targetOriginId: "other" }), /must have the targetOriginId/],
    [
      "a certificate without sslSupportMethod",
      inputs({ viewerCertificate: { acmCertificateArn: "arn" } }),
      /must have sslSupportMethod/,
    ],
  ])("is refused when it has %s", async (_, given, reason) => {
    expect((await failures(distribution.type, given)).join("\n")).toMatch(reason);
  });

  it("needs a certificate in us-east-1 that covers each alias", async () => {
    const create = (acmCertificateArn: string) =>
      cloud.engine.create(
        distribution.type,
        `distribution-${number++}`,
        inputs({ viewerCertificate: { acmCertificateArn, sslSupportMethod: "sni-only" } }),
      );
    const near = await certify("relay.example.com", { region: "ap-northeast-1" });
    await expect(create(near)).rejects.toThrow(/InvalidViewerCertificate: .*must be in us-east-1/);
    await expect(create(await certify("other2.example.com"))).rejects.toThrow(/does not cover relay\.example\.com/);
    expect((await create(await certify("relay.example.com"))).outputs.domainName).toMatch(/^d\w+\.cloudfront\.net$/);
  });
});

import { z } from "zod";
import type { AwsAccount } from "../support/account";
import { type Effects, type ResourceType, randomId } from "../support/resource";
import { texts } from "../support/values";
import { hostName, refusedByCloudFront } from "./certificates";

/** The three sets of methods that CloudFront allows. */
const methodSets = ["GET HEAD", "GET HEAD OPTIONS", "DELETE GET HEAD OPTIONS PATCH POST PUT"];
const uuid = z.uuid();

const origin = z.looseObject({
  originId: z.string().min(1),
  domainName: z.string().regex(/^[a-z0-9.-]+$/, "must be a host name without a protocol, port and path"),
  customOriginConfig: z.looseObject({
    httpPort: z.number().int(),
    httpsPort: z.number().int(),
    originProtocolPolicy: z.enum(["http-only", "https-only", "match-viewer"]),
    originSslProtocols: z.array(z.enum(["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"])).min(1),
    // AWS allows more than 120 seconds only with a higher quota.
    originReadTimeout: z.number().int().min(1).max(120).optional(),
  }),
});

const cacheBehavior = z
  .looseObject({
    targetOriginId: z.string(),
    viewerProtocolPolicy: z.enum(["allow-all", "https-only", "redirect-to-https"]),
    allowedMethods: z.array(z.string()).refine((methods) => methodSets.includes(methods.toSorted().join(" ")), {
      error: `must be one of: ${methodSets.join("; ")}`,
    }),
    cachedMethods: z.array(z.string()).min(2),
    cachePolicyId: uuid.optional(),
    originRequestPolicyId: uuid.optional(),
    forwardedValues: z.unknown().optional(),
  })
  .refine((behavior) => (behavior.cachePolicyId === undefined) !== (behavior.forwardedValues === undefined), {
    path: ["cachePolicyId"],
    error: "exactly one of cachePolicyId and forwardedValues must be set",
  });

/** aws:cloudfront/distribution:Distribution. The local cloud stores the distribution but serves no requests for it. */
export const distribution: ResourceType = {
  type: "aws:cloudfront/distribution:Distribution",
  isTaggable: true,
  inputs: z
    .looseObject({
      enabled: z.boolean(),
      aliases: z.array(hostName).optional(),
      origins: z.array(origin).min(1),
      defaultCacheBehavior: cacheBehavior,
      httpVersion: z.enum(["http1.1", "http2", "http3", "http2and3"]).optional(),
      priceClass: z.enum(["PriceClass_All", "PriceClass_200", "PriceClass_100"]).optional(),
      restrictions: z.looseObject({
        geoRestriction: z.looseObject({ restrictionType: z.enum(["none", "whitelist", "blacklist"]) }),
      }),
      viewerCertificate: z.looseObject({
        acmCertificateArn: z.string().optional(),
        cloudfrontDefaultCertificate: z.boolean().optional(),
        sslSupportMethod: z.enum(["sni-only", "vip", "static-ip"]).optional(),
        minimumProtocolVersion: z.string().optional(),
      }),
    })
    .refine(
      ({ origins, defaultCacheBehavior }) =>
        origins.some(({ originId }) => originId === defaultCacheBehavior.targetOriginId),
      { path: ["defaultCacheBehavior"], error: "must have the targetOriginId of one of the origins" },
    )
    .refine(({ viewerCertificate: { acmCertificateArn: arn, sslSupportMethod: method } }) => !arn || method, {
      path: ["viewerCertificate"],
      error: "must have sslSupportMethod with acmCertificateArn",
    }),
  replaceOn: [],
  sets: ["aliases", "allowedMethods", "cachedMethods"],
  id: () => `E${randomId(13, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")}`,
  computed: {
    arn: ({ id, account }) => `arn:aws:cloudfront::${account.accountId}:distribution/${id}`,
    domainName: ({ id }) => `d${id.slice(1).toLowerCase()}.cloudfront.net`,
    // Every distribution has the same hosted zone.
    hostedZoneId: () => "Z2FDTNDATAQYW2",
    status: () => "Deployed",
  },
};

/** Rejects an alias that the certificate does not cover, as CloudFront does. */
export function distributionEffects(account: AwsAccount): Effects {
  const check = (outputs: Record<string, unknown>) => {
    const { acmCertificateArn } = (outputs.viewerCertificate ?? {}) as Record<string, unknown>;
    for (const alias of texts(outputs.aliases)) {
      const reason = refusedByCloudFront(account, acmCertificateArn, alias);
      if (reason) throw new Error(`InvalidViewerCertificate: ${reason}`);
    }
    return undefined;
  };
  return { create: async ({ outputs }) => check(outputs), update: async ({ outputs }) => check(outputs) };
}

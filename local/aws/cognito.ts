import { randomUUID } from "node:crypto";
import { z } from "zod";
import { isHostName, refusedByCloudFront } from "./domains/certificates";
import type { AwsAccount, AwsResource } from "./support/account";
import { type Effects, type ResourceType, randomId } from "./support/resource";
import { text } from "./support/values";

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** URL of a page to which Cognito may redirect a browser. */
const pageUrl = z.string().refine(isPageUrl, {
  error: "must be an absolute URL without a fragment; http is allowed only for localhost, 127.0.0.1 and [::1]",
});

function isPageUrl(text: string): boolean {
  if (!URL.canParse(text) || text.includes("#")) return false;
  const { protocol, hostname } = new URL(text);
  return protocol !== "http:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

/**
 * Refresh token rotation. With rotation, a client must not use the flow ALLOW_REFRESH_TOKEN_AUTH.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-refresh-token.html
 */
const rotation = z.looseObject({
  feature: z.enum(["ENABLED", "DISABLED"]),
  retryGracePeriodSeconds: z.int().min(0).max(60).optional(),
});

const AUTH_FLOWS = [
  "ALLOW_ADMIN_USER_PASSWORD_AUTH",
  "ALLOW_CUSTOM_AUTH",
  "ALLOW_REFRESH_TOKEN_AUTH",
  "ALLOW_USER_AUTH",
  "ALLOW_USER_PASSWORD_AUTH",
  "ALLOW_USER_SRP_AUTH",
] as const;

/** Sender of a pool's e-mail: Cognito itself, or an identity of Amazon SES. */
const emailConfiguration = z
  .looseObject({
    emailSendingAccount: z.enum(["COGNITO_DEFAULT", "DEVELOPER"]).optional(),
    sourceArn: z
      .string()
      .regex(/^arn:aws:ses:[a-z0-9-]+:\d{12}:identity\/\S+$/, "must be the ARN of an SES identity")
      .optional(),
    fromEmailAddress: z.string().optional(),
  })
  .refine((email) => email.emailSendingAccount !== "DEVELOPER" || email.sourceArn !== undefined, {
    path: ["sourceArn"],
    error: "is required when emailSendingAccount is DEVELOPER",
  })
  .refine((email) => email.emailSendingAccount === "DEVELOPER" || email.fromEmailAddress === undefined, {
    path: ["emailSendingAccount"],
    error: "must be DEVELOPER when fromEmailAddress is set",
  });

/** aws:cognito/userPool:UserPool. */
export const userPool: ResourceType = {
  type: "aws:cognito/userPool:UserPool",
  isTaggable: true,
  inputs: z.looseObject({
    usernameAttributes: z.array(z.enum(["email", "phone_number"])).optional(),
    aliasAttributes: z.array(z.enum(["email", "phone_number", "preferred_username"])).optional(),
    autoVerifiedAttributes: z.array(z.enum(["email", "phone_number"])).optional(),
    mfaConfiguration: z.enum(["OFF", "ON", "OPTIONAL"]).optional(),
    deletionProtection: z.enum(["ACTIVE", "INACTIVE"]).optional(),
    usernameConfiguration: z.looseObject({ caseSensitive: z.boolean() }).optional(),
    emailConfiguration: emailConfiguration.optional(),
    userPoolTier: z.enum(["LITE", "ESSENTIALS", "PLUS"]).optional(),
    passwordPolicy: z.looseObject({ minimumLength: z.number().int().min(6).max(99).optional() }).optional(),
  }),
  replaceOn: ["name", "aliasAttributes", "usernameAttributes", "usernameConfiguration"],
  autoName: "name",
  id: (_inputs, account) => `${account.region}_${randomId(9, ALPHANUMERIC)}`,
  defaults: { mfaConfiguration: "OFF", deletionProtection: "INACTIVE", userPoolTier: "ESSENTIALS" },
  computed: {
    arn: ({ id, account }) => account.arn("cognito-idp", `userpool/${id}`),
    endpoint: ({ id, account }) => `cognito-idp.${account.region}.amazonaws.com/${id}`,
    creationDate: () => new Date().toISOString(),
    lastModifiedDate: () => new Date().toISOString(),
    estimatedNumberOfUsers: () => 0,
    customDomain: () => "",
    domain: () => "",
  },
  recomputed: ["lastModifiedDate"],
};

/**
 * Rejects a second domain of the same kind, as Cognito does: a pool has one prefix domain and one custom domain.
 * Cognito also requires an A record for the parent of a custom domain. The local cloud cannot check this, because it
 * cannot see records outside of the stack.
 */
export function userPoolDomainEffects(account: AwsAccount): Effects {
  const isCustom = ({ outputs }: Pick<AwsResource, "outputs">) => outputs.certificateArn !== undefined;
  return {
    async create(domain) {
      const { outputs, id } = domain;
      const other = account
        .list(userPoolDomain.type)
        .find((one) => one.outputs.userPoolId === outputs.userPoolId && isCustom(one) === isCustom(domain));
      if (other) throw new Error(`InvalidParameterException: User pool already has a domain configured: ${other.id}.`);
      const refused = isCustom(domain) && refusedByCloudFront(account, outputs.certificateArn, id);
      if (refused) throw new Error(`InvalidParameterException: ${refused}`);
      return undefined;
    },
  };
}

/** Rejects the deletion of a pool with deletion protection, as Cognito does. */
export const userPoolEffects: Effects = {
  async delete(pool) {
    if (pool.outputs.deletionProtection !== "ACTIVE") return;
    throw new Error(
      "InvalidParameterException: The user pool cannot be deleted because deletion protection is activated. Deletion protection must be inactivated first.",
    );
  },
};

/** aws:cognito/userPoolClient:UserPoolClient. */
export const userPoolClient: ResourceType = {
  type: "aws:cognito/userPoolClient:UserPoolClient",
  inputs: z
    .looseObject({
      userPoolId: z.string(),
      explicitAuthFlows: z.array(z.enum(AUTH_FLOWS)).optional(),
      refreshTokenRotation: rotation.optional(),
      allowedOauthFlows: z.array(z.enum(["code", "implicit", "client_credentials"])).optional(),
      callbackUrls: z.array(pageUrl).optional(),
      logoutUrls: z.array(pageUrl).optional(),
      preventUserExistenceErrors: z.enum(["ENABLED", "LEGACY"]).optional(),
    })
    .refine(
      ({ explicitAuthFlows, refreshTokenRotation }) =>
        refreshTokenRotation?.feature !== "ENABLED" || !explicitAuthFlows?.includes("ALLOW_REFRESH_TOKEN_AUTH"),
      {
        path: ["explicitAuthFlows"],
        error: "must not contain ALLOW_REFRESH_TOKEN_AUTH when refreshTokenRotation is ENABLED",
      },
    ),
  replaceOn: ["userPoolId", "generateSecret"],
  autoName: "name",
  id: () => randomId(26),
  defaults: { allowedOauthFlowsUserPoolClient: false, enableTokenRevocation: true, refreshTokenValidity: 30 },
  computed: { clientSecret: ({ inputs }) => (inputs.generateSecret === true ? randomId(51) : "") },
  secretOutputs: ["clientSecret"],
};

/** aws:cognito/userPoolDomain:UserPoolDomain. Its id is the domain name, which is unique in a region. */
export const userPoolDomain: ResourceType = {
  type: "aws:cognito/userPoolDomain:UserPoolDomain",
  inputs: z
    .looseObject({
      userPoolId: z.string(),
      domain: z
        .string()
        .refine(
          (domain) => isHostName(domain) || /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(domain),
          "must have 1 to 63 characters (a-z, 0-9 and -), and must not start or end with -",
        )
        .refine(
          (domain) => isHostName(domain) || !/aws|amazon|cognito/.test(domain),
          "must not contain aws, amazon or cognito",
        ),
      certificateArn: z.string().optional(),
      managedLoginVersion: z.union([z.literal(1), z.literal(2)]).optional(),
    })
    .refine(({ domain, certificateArn }) => domain.includes(".") === (certificateArn !== undefined), {
      path: ["certificateArn"],
      error: "is required for a custom domain, and not allowed for a prefix domain",
    }),
  replaceOn: ["domain", "userPoolId"],
  id: (inputs) => text(inputs, "domain"),
  conflict: "InvalidParameterException: Domain already associated with another user pool.",
  defaults: { managedLoginVersion: 1 },
  computed: {
    awsAccountId: ({ account }) => account.accountId,
    cloudfrontDistribution: () => "d111111abcdef8.cloudfront.net",
    cloudfrontDistributionArn: () => "d111111abcdef8.cloudfront.net",
    cloudfrontDistributionZoneId: () => "Z2FDTNDATAQYW2",
    s3Bucket: ({ account }) => `aws-cognito-prod-${account.region}-assets`,
    version: () => "1",
  },
};

/** aws:cognito/managedLoginBranding:ManagedLoginBranding. */
export const managedLoginBranding: ResourceType = {
  type: "aws:cognito/managedLoginBranding:ManagedLoginBranding",
  inputs: z
    .looseObject({ userPoolId: z.string(), clientId: z.string(), settings: z.string().optional() })
    .refine((inputs) => (inputs.settings !== undefined) !== (inputs.useCognitoProvidedValues === true), {
      path: ["settings"],
      error: "give either settings or useCognitoProvidedValues: true",
    }),
  replaceOn: ["clientId", "userPoolId"],
  id: (inputs) => `${text(inputs, "userPoolId")},${randomUUID()}`,
  defaults: { useCognitoProvidedValues: false },
  computed: {
    managedLoginBrandingId: ({ id }) => id.split(",")[1],
    settingsAll: ({ inputs }) => inputs.settings ?? "{}",
  },
};

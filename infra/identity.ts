import * as pulumi from "@pulumi/pulumi";
import { CLOUDFRONT_REGION } from "../names";
import * as aws from "./aws";
import type { Config } from "./config";
import { createAlias, createCertificate } from "./domains";
import type { Statement } from "./lambda";

/** Arguments of `Identity`. */
export interface IdentityArgs {
  config: Pick<Config, "auth" | "frontend" | "deletionProtection" | "domains">;
}

/**
 * The customers' sign-in: a Cognito user pool, its hosted pages (managed login) and the browser's public app client
 * (authorization code with PKCE, no secret).
 */
export class Identity extends pulumi.ComponentResource {
  readonly userPoolId: pulumi.Output<string>;
  readonly clientId: pulumi.Output<string>;
  /** `iss` of the pool's tokens. */
  readonly issuer: pulumi.Output<string>;
  /** Base URL of the hosted sign-in. */
  readonly domainUrl: pulumi.Output<string>;
  /** Scopes that the client may request. */
  readonly scopes = ["openid", "email", "profile"];
  private readonly userPoolArn: pulumi.Output<string>;

  constructor(name: string, { config }: IdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Identity", name, {}, opts);
    const child = { parent: this };
    const pool = new aws.cognito.UserPool(
      name,
      {
        usernameAttributes: ["email"],
        // Misaki@… and misaki@… are one customer. Without this setting they are two users, and Cognito cannot change
        // the setting later.
        usernameConfiguration: { caseSensitive: false },
        autoVerifiedAttributes: ["email"],
        userPoolTier: "ESSENTIALS",
        passwordPolicy: {
          minimumLength: 12,
          requireLowercase: true,
          requireNumbers: true,
          requireSymbols: false,
          requireUppercase: false,
        },
        accountRecoverySetting: { recoveryMechanisms: [{ name: "verified_email", priority: 1 }] },
        ...(config.auth.email && { emailConfiguration: sesSender(config.auth.email) }),
        deletionProtection: config.deletionProtection ? "ACTIVE" : "INACTIVE",
      },
      {
        ...child,
        // AWS would refuse to delete the pool only after it has deleted the rest of the stack. Pulumi refuses before it
        // deletes anything.
        protect: config.deletionProtection,
        // Cognito accepts this setting only for a new pool. Without `ignoreChanges`, Pulumi would replace an older pool
        // and lose all customers.
        ignoreChanges: ["usernameConfiguration"],
      },
    );
    const client = new aws.cognito.UserPoolClient(
      name,
      {
        userPoolId: pool.id,
        generateSecret: false,
        supportedIdentityProviders: ["COGNITO"],
        // Customers sign in at the hosted pages only. Without this list, Cognito's API would accept passwords (SRP)
        // too. The list must not be empty; this flow needs a trigger that the pool does not have, so it signs nobody
        // in.
        explicitAuthFlows: ["ALLOW_CUSTOM_AUTH"],
        allowedOauthFlowsUserPoolClient: true,
        allowedOauthFlows: ["code"],
        allowedOauthScopes: this.scopes,
        callbackUrls: config.frontend.callbackUrls,
        logoutUrls: config.frontend.logoutUrls,
        enableTokenRevocation: true,
        preventUserExistenceErrors: "ENABLED",
        accessTokenValidity: 60,
        idTokenValidity: 60,
        refreshTokenValidity: 30,
        // A stolen refresh token is useless after its owner's next refresh. The grace period covers a lost response and
        // two tabs that refresh at once.
        refreshTokenRotation: { feature: "ENABLED", retryGracePeriodSeconds: 60 },
        tokenValidityUnits: { accessToken: "minutes", idToken: "minutes", refreshToken: "days" },
      },
      child,
    );
    const { domainPrefix, domainUrl } = config.auth;
    const domain = new aws.cognito.UserPoolDomain(
      name,
      { userPoolId: pool.id, domain: domainPrefix, managedLoginVersion: 2 },
      // A pool has only one prefix domain, so a new one cannot exist beside the old one.
      { ...child, deleteBeforeReplace: true },
    );
    // Without branding, managed login shows "Login pages unavailable".
    new aws.cognito.ManagedLoginBranding(
      name,
      { userPoolId: pool.id, clientId: client.id, useCognitoProvidedValues: true },
      { ...child, dependsOn: domain },
    );

    const { region } = aws.getRegionOutput({}, child);
    this.userPoolId = pool.id;
    this.userPoolArn = pool.arn;
    this.clientId = client.id;
    this.issuer = pulumi.interpolate`https://cognito-idp.${region}.amazonaws.com/${pool.id}`;
    const ownUrl = config.domains?.signIn && createOwnDomain(name, pool.id, config.domains, child);
    this.domainUrl =
      domainUrl !== undefined
        ? pulumi.output(domainUrl)
        : ownUrl || pulumi.interpolate`https://${domain.domain}.auth.${region}.amazoncognito.com`;
    this.registerOutputs({ userPoolId: this.userPoolId, clientId: this.clientId, domainUrl: this.domainUrl });
  }

  /** Allows finding users of the pool by their attributes, or by the e-mail address with which they sign in. */
  findUsers(): Statement {
    return { Action: ["cognito-idp:ListUsers", "cognito-idp:AdminGetUser"], Resource: [this.userPoolArn] };
  }
}

/**
 * Serves the hosted pages at a host name, too. The pages stay at the prefix domain, so a stack can change to the host name
 * while customers are signed in. The issuer of the tokens does not change.
 *
 * @returns the URL, after the name leads to the pages
 */
function createOwnDomain(
  name: string,
  userPoolId: pulumi.Output<string>,
  { zone, signIn = "" }: NonNullable<Config["domains"]>,
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const certificateArn = createCertificate(`${name}-own`, { domain: signIn, zone, region: CLOUDFRONT_REGION }, child);
  const own = new aws.cognito.UserPoolDomain(
    `${name}-own`,
    { userPoolId, domain: signIn, certificateArn, managedLoginVersion: 2 },
    // A pool has only one domain of this kind, so a new one cannot exist beside the old one.
    { ...child, deleteBeforeReplace: true },
  );
  const target = { name: own.cloudfrontDistribution, zoneId: own.cloudfrontDistributionZoneId };
  const records = createAlias(`${name}-own`, { domain: signIn, zone, target, types: ["A"] }, child);
  return pulumi.all(records.map((record) => record.id)).apply(() => `https://${signIn}`);
}

/** Sends the pool's e-mail through an identity of Amazon SES. */
function sesSender({ identityArn, from }: NonNullable<Config["auth"]["email"]>) {
  return { emailSendingAccount: "DEVELOPER", sourceArn: identityArn, fromEmailAddress: from };
}

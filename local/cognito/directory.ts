import * as z from "zod/mini";
import type { AwsAccount } from "../aws/support/account";
import type { PasswordPolicy } from "./password";

const list = z.pipe(
  z.nullish(z.array(z.string())),
  z.transform((values) => values ?? []),
);
const Unit = z.nullish(z.enum(["seconds", "minutes", "hours", "days"]));

/** The properties of aws.cognito.UserPoolClient that affect a sign-in. */
const UserPoolClient = z.object({
  userPoolId: z.string(),
  clientSecret: z.nullish(z.string()),
  allowedOauthFlowsUserPoolClient: z.nullish(z.boolean()),
  allowedOauthFlows: list,
  allowedOauthScopes: list,
  callbackUrls: list,
  logoutUrls: list,
  enableTokenRevocation: z.nullish(z.boolean()),
  preventUserExistenceErrors: z.nullish(z.string()),
  refreshTokenRotation: z.nullish(z.object({ feature: z.string(), retryGracePeriodSeconds: z.nullish(z.number()) })),
  accessTokenValidity: z.nullish(z.number()),
  idTokenValidity: z.nullish(z.number()),
  refreshTokenValidity: z.nullish(z.number()),
  tokenValidityUnits: z.nullish(z.object({ accessToken: Unit, idToken: Unit, refreshToken: Unit })),
});

const flag = z.nullish(z.boolean());

/** The properties of aws.cognito.UserPool that affect its users. */
const UserPool = z.object({
  usernameConfiguration: z.nullish(z.object({ caseSensitive: flag })),
  adminCreateUserConfig: z.nullish(z.object({ allowAdminCreateUserOnly: flag })),
  passwordPolicy: z.nullish(
    z.object({
      minimumLength: z.nullish(z.number()),
      requireLowercase: flag,
      requireUppercase: flag,
      requireNumbers: flag,
      requireSymbols: flag,
    }),
  ),
});
const UserPoolDomain = z.object({ userPoolId: z.string(), managedLoginVersion: z.nullish(z.number()) });
const ManagedLoginBranding = z.object({ userPoolId: z.string(), clientId: z.string() });

/** The properties of a user pool that affect its users. */
export interface PoolRules {
  /** Whether user names are case-sensitive. True in Cognito's API unless the pool sets another value. */
  caseSensitive: boolean;
  allowsSignUp: boolean;
  passwordPolicy: PasswordPolicy;
}

/** The properties of an app client that affect a sign-in. */
export interface AppClient {
  id: string;
  poolId: string;
  /** Undefined for a public client. */
  secret: string | undefined;
  /** Whether the authorization code flow is allowed. */
  codeFlow: boolean;
  scopes: string[];
  callbackUrls: string[];
  logoutUrls: string[];
  revocation: boolean;
  /** Whether answers to the client hide that a user does not exist. */
  hidesUsers: boolean;
  rotation: boolean;
  /** Seconds for which a rotated refresh token stays valid. */
  rotationGraceSeconds: number;
  /** Lifetimes in seconds. */
  lifetimes: { access: number; id: number; refresh: number };
}

const secondsPer = { seconds: 1, minutes: 60, hours: 3600, days: 86_400 } as const;

/** The local account's Cognito resources, read at each call. */
export class Directory {
  constructor(private readonly account: AwsAccount) {}

  /** Whether the pool exists. */
  hasPool(poolId: string): boolean {
    return this.account.get("aws:cognito/userPool:UserPool", poolId) !== undefined;
  }

  /** The rules of the pool's users. A pool without a password policy requires every kind of character. */
  rules(poolId: string): PoolRules {
    const pool = this.account.get("aws:cognito/userPool:UserPool", poolId);
    const { usernameConfiguration, adminCreateUserConfig, passwordPolicy } = UserPool.parse(pool?.outputs ?? {});
    const byDefault = !passwordPolicy;
    return {
      caseSensitive: usernameConfiguration?.caseSensitive ?? true,
      allowsSignUp: !adminCreateUserConfig?.allowAdminCreateUserOnly,
      passwordPolicy: {
        minimumLength: passwordPolicy?.minimumLength ?? 8,
        requireLowercase: passwordPolicy?.requireLowercase ?? byDefault,
        requireUppercase: passwordPolicy?.requireUppercase ?? byDefault,
        requireNumbers: passwordPolicy?.requireNumbers ?? byDefault,
        requireSymbols: passwordPolicy?.requireSymbols ?? byDefault,
      },
    };
  }

  /** The pool's issuer, of type ORIGINAL. */
  issuer(poolId: string): string {
    return `https://cognito-idp.${this.account.region}.amazonaws.com/${poolId}`;
  }

  /** The app client of an existing pool, or undefined. */
  client(clientId: string): AppClient | undefined {
    const resource = this.account.get("aws:cognito/userPoolClient:UserPoolClient", clientId);
    if (!resource) return undefined;
    const client = UserPoolClient.parse(resource.outputs);
    if (!this.hasPool(client.userPoolId)) return undefined;
    const units = client.tokenValidityUnits;
    return {
      id: clientId,
      poolId: client.userPoolId,
      secret: client.clientSecret || undefined,
      codeFlow: client.allowedOauthFlowsUserPoolClient === true && client.allowedOauthFlows.includes("code"),
      scopes: client.allowedOauthScopes,
      callbackUrls: client.callbackUrls,
      logoutUrls: client.logoutUrls,
      revocation: client.enableTokenRevocation ?? true,
      hidesUsers: client.preventUserExistenceErrors === "ENABLED",
      rotation: client.refreshTokenRotation?.feature === "ENABLED",
      rotationGraceSeconds: client.refreshTokenRotation?.retryGracePeriodSeconds ?? 0,
      // Defaults of CreateUserPoolClient: 1 hour, 1 hour, 30 days.
      lifetimes: {
        access: (client.accessTokenValidity || 1) * secondsPer[units?.accessToken ?? "hours"],
        id: (client.idTokenValidity || 1) * secondsPer[units?.idToken ?? "hours"],
        refresh: (client.refreshTokenValidity || 30) * secondsPer[units?.refreshToken ?? "days"],
      },
    };
  }

  /** Whether the pool has a domain. Without a domain, its hosted pages and endpoints do not exist. */
  hasDomain(poolId: string): boolean {
    return this.domain(poolId) !== undefined;
  }

  /**
   * Whether Cognito shows a sign-in page. Cognito shows none when the domain uses managed login (version 2) and the
   * client has no branding.
   */
  hasLoginPages(client: AppClient): boolean {
    if (this.domain(client.poolId)?.managedLoginVersion !== 2) return true;
    return this.account
      .list("aws:cognito/managedLoginBranding:ManagedLoginBranding")
      .map((resource) => ManagedLoginBranding.parse(resource.outputs))
      .some((branding) => branding.userPoolId === client.poolId && branding.clientId === client.id);
  }

  private domain(poolId: string) {
    return this.account
      .list("aws:cognito/userPoolDomain:UserPoolDomain")
      .map((resource) => UserPoolDomain.parse(resource.outputs))
      .find((domain) => domain.userPoolId === poolId);
  }
}

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Provider, { errors, interactionPolicy, type KoaContextWithOIDC } from "oidc-provider";
import type { Events } from "../support/events";
import { JsonFile } from "../support/store";
import { OidcStore } from "./adapter";
import { clientAdapter } from "./clients";
import { cookieNames } from "./cookies";
import type { Customers } from "./customer";
import type { AppClient, Directory } from "./directory";
import type { PoolKeys } from "./keys";
import { likeCognito } from "./likeCognito";
import { errorPage } from "./pages";
import { UUID_ID_BITS } from "./uuid";

/** What a pool needs to know. */
export interface PoolOptions {
  poolId: string;
  directory: Directory;
  customers: Customers;
  events: Events;
  /** Folder of the pool's own files. */
  dir: string;
}

/** How long someone stays signed in at the hosted domain: an hour, as in Cognito. */
const SESSION_SECONDS = 3600;
/** How long the sign-in page may stay open. */
const INTERACTION_SECONDS = 3600;
/** Lifetime of an authorization code in Cognito. */
const CODE_SECONDS = 300;

/** The scopes Cognito knows by itself. */
const cognitoScopes = ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"];

/** The OIDC server of one pool: Cognito's rules in the server's own settings. */
export function createProvider({ poolId, directory, customers, events, dir }: PoolOptions, keys: PoolKeys): Provider {
  const store = new OidcStore(join(dir, "oidc.json"));
  const cookieKeys = new JsonFile(join(dir, "cookie-keys.json"), [randomBytes(32).toString("base64url")]);
  cookieKeys.save();

  const clientOf = (ctx: KoaContextWithOIDC): AppClient => {
    const client = directory.client(ctx.oidc.client?.clientId ?? "");
    if (!client) throw new errors.InvalidClient("client is invalid", "the app client was deleted");
    return client;
  };

  const policy = interactionPolicy.base();
  policy.remove("consent");

  const provider = new Provider(directory.issuer(poolId), {
    adapter: (model) => (model === "Client" ? clientAdapter(directory, poolId) : store.adapter(model)),
    jwks: keys.private,
    cookies: {
      keys: cookieKeys.data,
      names: {
        session: cookieNames.session(poolId),
        interaction: cookieNames.interaction(poolId),
        resume: cookieNames.resume(poolId),
      },
    },
    routes: {
      authorization: "/oauth2/authorize",
      token: "/oauth2/token",
      userinfo: "/oauth2/userInfo",
      revocation: "/oauth2/revoke",
      // Posted to, with `/confirm`, when another customer signs in over an open session.
      end_session: `/session/${poolId}`,
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      resourceIndicators: { enabled: false },
      userinfo: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (ctx, client, token) => {
          if (!clientOf(ctx).revocation)
            throw new errors.InvalidRequest("token revocation is disabled for this client");
          return token.clientId === client.clientId;
        },
      },
    },
    responseTypes: ["code"],
    scopes: cognitoScopes,
    claims: {
      // Which of them a sign-in gets, `attributes` decides: here a scope could only add some.
      openid: ["sub", "cognito:username", "username", "email", "email_verified"],
      email: [],
      phone: [],
      profile: [],
      "aws.cognito.signin.user.admin": [],
    },
    conformIdTokenClaims: false,
    // Cognito lets any client leave PKCE out. Here a public client may not, so that one without it is found at home.
    pkce: { required: (_ctx, client) => client.tokenEndpointAuthMethod === "none" },
    clientBasedCORS: () => true,
    formats: { bitsOfOpaqueRandomness: (_ctx, model) => (model.kind === "AccessToken" ? UUID_ID_BITS : 256) },
    ttl: {
      AuthorizationCode: CODE_SECONDS,
      Interaction: INTERACTION_SECONDS,
      Session: SESSION_SECONDS,
      AccessToken: (ctx) => clientOf(ctx).lifetimes.access,
      IdToken: (ctx) => clientOf(ctx).lifetimes.id,
      RefreshToken: (ctx) => clientOf(ctx).lifetimes.refresh,
      Grant: (ctx) => clientOf(ctx).lifetimes.refresh + CODE_SECONDS,
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: (ctx) => clientOf(ctx).rotation,
    extraParams: { lang: null, scope: (ctx) => grantableScope(ctx, clientOf(ctx)) },
    interactions: {
      policy,
      url: (_ctx, interaction) => `/login?${new URLSearchParams(interaction.params as Record<string, string>)}`,
    },
    // Each sign-in gets a grant of its own for all it asked: Cognito has no consent page, and revoking one refresh token
    // must not touch another's.
    loadExistingGrant: async (ctx) => {
      const { client, account, params } = ctx.oidc;
      if (!client || !account) return undefined;
      const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: account.accountId });
      grant.addOIDCScope(String(params?.scope ?? ""));
      await grant.save();
      return grant;
    },
    findAccount: (_ctx, sub) => {
      const customer = customers.bySub(sub);
      if (!customer) return undefined;
      return {
        accountId: sub,
        claims: (use, scope) =>
          use === "userinfo"
            ? // The string is Cognito's own oddity.
              { sub, ...attributes(scope, { email: customer.email, email_verified: "true" }), username: sub }
            : { sub, ...attributes(scope, { email: customer.email, email_verified: true }), "cognito:username": sub },
      };
    },
    renderError: async (ctx, out) => {
      ctx.type = "html";
      ctx.body = await errorPage(out.error === "invalid_redirect_uri" ? "redirect_mismatch" : out.error);
    },
  });

  provider.use(likeCognito({ issuer: provider.issuer, directory, customers, events, keys }));
  provider.on("server_error", (_ctx, error) => {
    events.emit({ source: "cognito", summary: `internal error: ${error.message}` });
  });
  return provider;
}

/**
 * What a scope shows of a customer: `openid` alone all there is, with `email`, `phone` or `profile` beside it only theirs.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
 */
function attributes<T extends object>(scope: string, email: T): Partial<T> {
  const limits = scope.split(" ").filter((one) => ["email", "phone", "profile"].includes(one));
  return limits.length === 0 || limits.includes("email") ? email : {};
}

/**
 * Every scope asked for must be allowed for the client; asking for none asks for all of them. Scopes of resource servers
 * are refused: the OIDC server would drop them without a word.
 */
function grantableScope(ctx: KoaContextWithOIDC, client: AppClient): void {
  const grantable = client.scopes.filter((scope) => cognitoScopes.includes(scope));
  const asked = [ctx.query.scope ?? []].flat().join(" ").split(" ").filter(Boolean);
  const refused = asked.find((scope) => !grantable.includes(scope));
  if (refused !== undefined) throw new errors.InvalidScope("requested scope is not allowed", refused);
  if (ctx.oidc.params) ctx.oidc.params.scope ??= grantable.join(" ");
}

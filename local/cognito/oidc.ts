import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Provider, { errors, interactionPolicy, type KoaContextWithOIDC } from "oidc-provider";
import type { Events } from "../support/events";
import { JsonFile } from "../support/store";
import type { OidcStore } from "./adapter";
import { clientAdapter } from "./clients";
import { cookieNames } from "./cookies";
import type { Customers } from "./customers";
import type { AppClient, Directory } from "./directory";
import type { PoolKeys } from "./keys";
import { errorPage } from "./pages";
import { cognitoResponses } from "./responses";
import { UUID_ID_BITS } from "./uuid";

/** Options of a pool. */
export interface PoolOptions {
  poolId: string;
  directory: Directory;
  customers: Customers;
  events: Events;
  /** Folder of the pool's files. */
  dir: string;
}

/** Session lifetime at the hosted domain: one hour, as in Cognito. */
const SESSION_SECONDS = 3600;
/** Lifetime of an open sign-in page. */
const INTERACTION_SECONDS = 3600;
/** Lifetime of an authorization code in Cognito. */
const CODE_SECONDS = 300;

/**
 * Parameter of this double for the page at which a sign-in starts, such as `signup`. In Cognito, a browser can open
 * every page without the authorize endpoint.
 */
export const PAGE_PARAM = "local_page";

/** Pages of the hosted domain. Each page is served at `/<name>`. A sign-in starts at the first page by default. */
const pageNames = ["login", "signup", "confirmUser", "forgotPassword", "confirmForgotPassword"] as const;

/** Name of a page of the hosted domain. */
export type PageName = (typeof pageNames)[number];

const cognitoScopes = ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"];

/** Creates the OIDC server of one pool, configured with Cognito's rules. */
export function createProvider(
  { poolId, directory, customers, events, dir }: PoolOptions,
  keys: PoolKeys,
  store: OidcStore,
): Provider {
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
      // All pages of a pending sign-in need its cookie, not only the first page.
      short: { path: "/" },
    },
    routes: {
      authorization: "/oauth2/authorize",
      token: "/oauth2/token",
      userinfo: "/oauth2/userInfo",
      revocation: "/oauth2/revoke",
      // When a second customer signs in while a session is open, the OIDC server makes the browser post to this path
      // plus `/confirm`.
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
      // Every claim is listed under `openid`, because other scopes in this list can only add claims. The function
      // `attributes` then selects the claims of a sign-in.
      openid: ["sub", "cognito:username", "username", "email", "email_verified"],
      email: [],
      phone: [],
      profile: [],
      "aws.cognito.signin.user.admin": [],
    },
    conformIdTokenClaims: false,
    // Cognito accepts any client without PKCE. Here PKCE is required for public clients, so that developers notice when
    // it is missing.
    pkce: { required: (_ctx, client) => client.tokenEndpointAuthMethod === "none" },
    clientBasedCORS: () => true,
    formats: { bitsOfOpaqueRandomness: (_ctx, model) => (model.kind === "AccessToken" ? UUID_ID_BITS : 256) },
    ttl: {
      AuthorizationCode: CODE_SECONDS,
      Interaction: INTERACTION_SECONDS,
      Session: SESSION_SECONDS,
      AccessToken: (ctx) => clientOf(ctx).lifetimes.access,
      IdToken: (ctx) => clientOf(ctx).lifetimes.id,
      // A rotated token expires when the first refresh token of the sign-in would have expired.
      RefreshToken: (ctx) => ctx.oidc.entities.RotatedRefreshToken?.remainingTTL ?? clientOf(ctx).lifetimes.refresh,
      Grant: (ctx) => clientOf(ctx).lifetimes.refresh + CODE_SECONDS,
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: (ctx) => clientOf(ctx).rotation,
    extraParams: { lang: null, [PAGE_PARAM]: null, scope: (ctx) => grantableScope(ctx, clientOf(ctx)) },
    interactions: {
      policy,
      url: (_ctx, { params: { [PAGE_PARAM]: page, ...params } }) => {
        // A value that is not a known page could lead to another site, such as `/evil.example`.
        const name = pageNames.find((known) => known === page) ?? pageNames[0];
        return `/${name}?${new URLSearchParams(params as Record<string, string>)}`;
      },
    },
    // Each sign-in gets a separate grant for all requested scopes, because Cognito has no consent page. So a revoked
    // refresh token of one sign-in does not affect other sign-ins.
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
            ? // Cognito returns this boolean as a string.
              { sub, ...attributes(scope, { email: customer.email, email_verified: "true" }), username: sub }
            : { sub, ...attributes(scope, { email: customer.email, email_verified: true }), "cognito:username": sub },
      };
    },
    renderError: async (ctx, out) => {
      ctx.type = "html";
      ctx.body = String(await errorPage(out.error === "invalid_redirect_uri" ? "redirect_mismatch" : out.error));
    },
  });

  provider.use(cognitoResponses({ issuer: provider.issuer, directory, customers, events, keys }));
  provider.on("server_error", (_ctx, error) => {
    events.emit({ source: "cognito", summary: `internal error: ${error.message}` });
  });
  return provider;
}

/**
 * Selects a customer's attributes by scope. `openid` alone returns all attributes. If `email`, `phone` or `profile` is
 * requested, only the attributes of the requested scopes are returned.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
 */
function attributes<T extends object>(scope: string, email: T): Partial<T> {
  const limits = scope.split(" ").filter((one) => ["email", "phone", "profile"].includes(one));
  return limits.length === 0 || limits.includes("email") ? email : {};
}

/**
 * Checks that the client may request every scope. A request without scopes gets all allowed scopes. Scopes of resource
 * servers are rejected, because the OIDC server would drop them silently.
 */
function grantableScope(ctx: KoaContextWithOIDC, client: AppClient): void {
  const grantable = client.scopes.filter((scope) => cognitoScopes.includes(scope));
  const asked = [ctx.query.scope ?? []].flat().join(" ").split(" ").filter(Boolean);
  const refused = asked.find((scope) => !grantable.includes(scope));
  if (refused !== undefined) throw new errors.InvalidScope("requested scope is not allowed", refused);
  if (ctx.oidc.params) ctx.oidc.params.scope ??= grantable.join(" ");
}

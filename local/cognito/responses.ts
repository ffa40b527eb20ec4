import type Provider from "oidc-provider";
import type { KoaContextWithOIDC } from "oidc-provider";
import type { Events } from "../support/events";
import type { Customers } from "./customers";
import type { Directory } from "./directory";
import type { PoolKeys } from "./keys";
import { cognitoTokens, tokenIdOf } from "./tokens";

type Middleware = Parameters<Provider["use"]>[0];
type Next = Parameters<Middleware>[1];

/**
 * Middleware around a pool's OIDC server: accepts Cognito's access tokens and converts the server's answers to the form
 * of Cognito.
 */
export function cognitoResponses(options: {
  issuer: string;
  directory: Directory;
  customers: Customers;
  events: Events;
  keys: PoolKeys;
}): Middleware {
  const { issuer, directory, customers, events, keys } = options;

  const aroundUserInfo = async (ctx: KoaContextWithOIDC, next: Next) => {
    const id = await tokenIdOf(ctx.get("authorization"), keys, issuer);
    ctx.req.headers.authorization = `Bearer ${id ?? "unknown"}`;
    await next();
  };

  const aroundToken = async (ctx: KoaContextWithOIDC, next: Next) => {
    await next();
    toCognitoError(ctx);
    const client = directory.client(ctx.oidc.client?.clientId ?? "");
    if (ctx.status !== 200 || !client) return;
    ctx.body = await cognitoTokens(ctx, keys, client);
    const spent = ctx.oidc.entities.AuthorizationCode ? "code" : "refresh token";
    const customer = customers.bySub(ctx.oidc.account?.accountId ?? "");
    events.emit({ source: "cognito", summary: `${spent} → tokens for ${customer?.label}` });
  };

  return async (context, next) => {
    // The server adds `oidc` to the context.
    const ctx = context as unknown as KoaContextWithOIDC;
    if (ctx.path === "/oauth2/userInfo") return aroundUserInfo(ctx, next);
    if (ctx.path === "/oauth2/token") return aroundToken(ctx, next);
    if (ctx.path === "/oauth2/authorize") dropPrompts(ctx);
    await next();
    if (ctx.path === "/oauth2/revoke") toCognitoRevocation(ctx);
    if (ctx.path.startsWith("/oauth2/authorize")) toCognitoRedirect(ctx);
  };
}

/**
 * Drops prompts that have no effect on local users. Cognito only passes `select_account` and `consent` on to external
 * identity providers. https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
 */
function dropPrompts(ctx: KoaContextWithOIDC): void {
  if (typeof ctx.query.prompt !== "string") return;
  const { prompt, ...query } = ctx.query;
  const effective = prompt.split(" ").filter((one) => !["select_account", "consent"].includes(one));
  ctx.query = effective.length === 0 ? query : { ...query, prompt: effective.join(" ") };
}

/**
 * Converts the answer to a revocation to Cognito's form. The body is empty, but the content type is JSON, because some
 * clients check the type.
 */
function toCognitoRevocation(ctx: KoaContextWithOIDC): void {
  toCognitoError(ctx);
  ctx.type = "application/json; charset=utf-8";
}

/** Converts a redirect to Cognito's form: status 302, no `iss`, and errors always in the query. */
function toCognitoRedirect(ctx: KoaContextWithOIDC): void {
  const location = ctx.response.get("location");
  if (!location) return;
  ctx.status = 302;
  const url = new URL(location, ctx.href);
  for (const [name, value] of new URLSearchParams(url.hash.slice(1))) url.searchParams.set(name, value);
  url.hash = "";
  url.searchParams.delete("iss");
  ctx.set("location", url.href);
}

/** Converts a token or revocation error to Cognito's form: status 400, and a body with only the error code. */
function toCognitoError(ctx: KoaContextWithOIDC): void {
  const body: unknown = ctx.body;
  if (typeof body !== "object" || body === null || !("error" in body)) return;
  if (ctx.status < 500) ctx.status = 400;
  ctx.body = { error: body.error };
}

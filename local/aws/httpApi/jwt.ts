import { compactVerify, createRemoteJWKSet, decodeJwt, type JWTPayload, type JWTVerifyGetKey } from "jose";
import { isObject } from "../../support/protocol/value";
import type { AwsResource } from "../support/account";
import { texts } from "../support/values";

/** Value of `requestContext.authorizer.jwt`: every claim as text; `scopes` is null when the token has no scopes. */
export interface JwtContext {
  claims: Record<string, string>;
  scopes: string[] | null;
}

/** Decision of the authorizer. `reason` is for the log. */
export type Decision = { jwt: JwtContext } | { status: 401 | 403; reason: string };

/** JWT authorizer of HTTP APIs. */
export class JwtAuthorizer {
  private readonly keys = new Map<string, JWTVerifyGetKey>();

  /** @param jwks returns the URL of an issuer's keys; undefined for an unknown issuer */
  constructor(private readonly jwks: (issuer: string) => string | undefined) {}

  /**
   * Checks the token of a request as AWS does. First checks its signature, issuer, audience, expiry, not-before and
   * issue time, all without leeway. Then checks whether the token has one of the route's scopes.
   */
  async decide(request: Request, authorizer: AwsResource, routeScopes: string[]): Promise<Decision> {
    const { identitySources, jwtConfiguration } = authorizer.outputs;
    const token = identity(request, texts(identitySources)[0] ?? "");
    if (token === undefined) return unauthorized("no token");
    const { issuer, audiences } = isObject(jwtConfiguration) ? jwtConfiguration : {};
    const claims = await this.verify(token, String(issuer));
    if (claims === undefined) return unauthorized("bad signature");
    const problem = checkClaims(claims, String(issuer), texts(audiences));
    if (problem !== undefined) return unauthorized(problem);
    const scopes = scopesOf(claims);
    if (routeScopes.length > 0 && !routeScopes.some((scope) => scopes?.includes(scope))) {
      return { status: 403, reason: "scope missing" };
    }
    return {
      jwt: {
        claims: Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, claimText(value)])),
        scopes,
      },
    };
  }

  /** Returns the claims of a token that the issuer signed; undefined for any other token. */
  private async verify(token: string, issuer: string): Promise<JWTPayload | undefined> {
    try {
      const url = this.jwks(issuer);
      if (url === undefined) return undefined;
      let keys = this.keys.get(url);
      if (keys === undefined) {
        keys = createRemoteJWKSet(new URL(url), { timeoutDuration: 1500, cooldownDuration: 1000 });
        this.keys.set(url, keys);
      }
      await compactVerify(token, keys, { algorithms: ["RS256", "RS384", "RS512"] });
      return decodeJwt(token);
    } catch {
      return undefined;
    }
  }
}

function unauthorized(reason: string): Decision {
  return { status: 401, reason };
}

/** The token at `$request.header.<name>` or `$request.querystring.<name>`, with or without `Bearer `. */
function identity(request: Request, source: string): string | undefined {
  const [, , place, name] = /^(\$request)\.(header|querystring)\.(.+)$/.exec(source) ?? [];
  const value =
    place === "querystring"
      ? new URL(request.url).searchParams.get(name ?? "")
      : request.headers.get(name ?? "authorization");
  return value?.replace(/^bearer\s+/i, "").trim() || undefined;
}

function checkClaims(claims: JWTPayload, issuer: string, audiences: string[]): string | undefined {
  const now = Date.now() / 1000;
  if (claims.iss !== issuer) return "wrong issuer";
  const presented = claims.aud === undefined ? [claims.client_id] : [claims.aud].flat();
  if (!presented.some((audience) => typeof audience === "string" && audiences.includes(audience)))
    return "wrong audience";
  if (claims.exp === undefined || claims.exp <= now) return "expired";
  if (claims.nbf !== undefined && claims.nbf > now) return "not valid yet";
  if (claims.iat !== undefined && claims.iat > now) return "issued in the future";
  return undefined;
}

function scopesOf(claims: JWTPayload): string[] | null {
  const scope = claims.scope ?? claims.scp;
  if (Array.isArray(scope)) return scope.map(String);
  return typeof scope === "string" && scope !== "" ? scope.split(" ") : null;
}

/** Text of a claim. Lists become `[a b]`. */
function claimText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(claimText).join(" ")}]`;
  return isObject(value) ? JSON.stringify(value) : String(value);
}

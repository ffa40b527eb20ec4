import { createHash, randomUUID } from "node:crypto";
import { createLocalJWKSet, decodeJwt, jwtVerify, SignJWT } from "jose";
import type { KoaContextWithOIDC } from "oidc-provider";
import type { AppClient } from "./directory";
import type { PoolKeys } from "./keys";
import { idToUuid, uuidOf, uuidToId } from "./uuid";

/** Body of Cognito's `/oauth2/token` answer. */
interface TokenResponse {
  id_token?: string;
  access_token: string;
  refresh_token?: string;
  expires_in: number;
  token_type: "Bearer";
}

/** Members of the OIDC server's answer that `cognitoTokens` uses. */
interface OidcTokenResponse {
  id_token?: string;
  refresh_token?: string;
}

/**
 * Converts the OIDC server's token answer to Cognito's form. The opaque access token becomes a JWT **without `aud`**,
 * which a standard server must not issue. The ID token gets Cognito's claims.
 *
 * Claims:
 * https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html and
 * amazon-cognito-user-pools-using-the-id-token.html.
 */
export async function cognitoTokens(
  ctx: KoaContextWithOIDC,
  keys: PoolKeys,
  client: AppClient,
): Promise<TokenResponse> {
  const { AccessToken: issued, AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities;
  if (!issued?.accountId || !issued.grantId) throw new Error("The OIDC server issued no access token.");
  const { id_token: idToken, refresh_token: refreshToken } = ctx.body as OidcTokenResponse;
  const { kid, key } = keys.signing;
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ kid, alg: "RS256" }).sign(key);

  const iat = Math.floor(Date.now() / 1000);
  const shared = {
    iss: ctx.oidc.issuer,
    // `origin_jti` and `event_id` stay the same when the tokens of a sign-in are refreshed.
    origin_jti: uuidOf(issued.grantId),
    event_id: uuidOf(`event ${issued.grantId}`),
    auth_time: code?.authTime ?? refresh?.authTime ?? iat,
    iat,
  };
  const response: TokenResponse = {
    access_token: await sign({
      ...shared,
      sub: issued.accountId,
      client_id: client.id,
      version: 2,
      token_use: "access",
      scope: issued.scope ?? "",
      exp: iat + client.lifetimes.access,
      jti: idToUuid(issued.jti),
      username: issued.accountId,
    }),
    expires_in: client.lifetimes.access,
    token_type: "Bearer",
  };
  if (idToken) {
    response.id_token = await sign({
      ...decodeJwt(idToken),
      ...shared,
      token_use: "id",
      at_hash: halfHash(response.access_token),
      exp: iat + client.lifetimes.id,
      jti: randomUUID(),
    });
  }
  // A refresh returns a new refresh token only when the client uses refresh token rotation.
  if (refreshToken && (code || client.rotation)) response.refresh_token = refreshToken;
  return response;
}

/**
 * Reads the OIDC server's token id from an `Authorization` header with an access token. Returns undefined for an
 * invalid token and for a token of another pool.
 */
export async function tokenIdOf(authorization: string, keys: PoolKeys, issuer: string): Promise<string | undefined> {
  const token = authorization.replace(/^Bearer\s+/i, "");
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys.public), { issuer, algorithms: ["RS256"] });
    return payload.jti ? uuidToId(payload.jti) : undefined;
  } catch {
    return undefined;
  }
}

/** `at_hash` of OpenID Connect Core 3.1.3.6 for RS256. */
function halfHash(token: string): string {
  return createHash("sha256").update(token).digest().subarray(0, 16).toString("base64url");
}

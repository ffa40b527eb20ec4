import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Directory } from "./directory";
import type { Pools } from "./pools";

/**
 * Serves the issuer's host, `cognito-idp.<region>.amazonaws.com`: keys and discovery document of every pool.
 *
 * @param urls origins of the two servers, for the discovery document
 */
export function idpApp(directory: Directory, pools: Pools, urls: () => { idp: string; domain: string }): Hono {
  const app = new Hono();
  app.use(cors());
  app.use("/:poolId/.well-known/*", async (c, next) => {
    const poolId = c.req.param("poolId");
    if (directory.hasPool(poolId)) return next();
    return c.json({ message: `User pool ${poolId} does not exist.` }, 404);
  });

  app.get("/:poolId/.well-known/jwks.json", (c) => {
    c.header("cache-control", "public, max-age=86400");
    return c.json(pools.get(c.req.param("poolId")).jwks);
  });

  app.get("/:poolId/.well-known/openid-configuration", (c) => {
    const poolId = c.req.param("poolId");
    const { idp, domain } = urls();
    return c.json({
      authorization_endpoint: `${domain}/oauth2/authorize`,
      end_session_endpoint: `${domain}/logout`,
      id_token_signing_alg_values_supported: ["RS256"],
      issuer: directory.issuer(poolId),
      jwks_uri: `${idp}/${poolId}/.well-known/jwks.json`,
      response_types_supported: ["code", "token"],
      revocation_endpoint: `${domain}/oauth2/revoke`,
      scopes_supported: ["openid", "email", "phone", "profile"],
      subject_types_supported: ["public"],
      token_endpoint: `${domain}/oauth2/token`,
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
      userinfo_endpoint: `${domain}/oauth2/userInfo`,
    });
  });

  return app;
}

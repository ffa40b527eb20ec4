import type { ServerResponse } from "node:http";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Events } from "../support/events";
import { cookieNames } from "./cookies";
import type { Customers } from "./customers";
import type { AppClient, Directory } from "./directory";
import type { Env, Request } from "./interactions";
import { errorPage } from "./pages";
import type { Pools } from "./pools";
import { userPages } from "./userPages";

/**
 * Serves the requests to the hosted domain that no OIDC server handles: pages, preflights, and `/oauth2/…` requests
 * without a valid pool.
 */
export function hostedApp(directory: Directory, pools: Pools, customers: Customers, events: Events): Hono<Env> {
  const app = new Hono<Env>();
  for (const path of ["/oauth2/token", "/oauth2/userInfo", "/oauth2/revoke"]) app.use(path, cors());

  /**
   * Calls `answer` with the app client that the query names. Returns an error page when this client or its domain is
   * missing.
   */
  const clientOr = (c: Request, answer: (client: AppClient) => Response | Promise<Response>) => {
    const clientId = c.req.query("client_id");
    if (!clientId) return c.html(errorPage("Required String parameter 'client_id' is not present"), 400);
    const client = directory.client(clientId);
    if (!client) return c.html(errorPage(`Client ${clientId} does not exist.`), 400);
    if (!directory.hasDomain(client.poolId)) return c.html(errorPage("The user pool has no domain."), 404);
    return answer(client);
  };

  app.get("/oauth2/authorize", (c) => clientOr(c, () => c.html(errorPage("invalid_request"), 400)));
  app.get("/oauth2/authorize/:uid", (c) => c.html(errorPage("invalid_request"), 400));
  app.on("POST", ["/oauth2/token", "/oauth2/revoke"], (c) => c.json({ error: "invalid_client" }, 400));
  app.on(["GET", "POST"], "/oauth2/userInfo", (c) => {
    const error = { error: "invalid_token", error_description: "The access token is invalid or has expired." };
    return c.json(error, 401, {
      "www-authenticate": `Bearer error="${error.error}", error_description="${error.error_description}"`,
    });
  });

  app.get("/logout", (c) => {
    if (c.req.query("post_logout_redirect_uri")) {
      const text =
        "Cognito's /logout differs from OpenID Connect's: send client_id and logout_uri, not post_logout_redirect_uri.";
      return c.html(errorPage(text), 400);
    }
    return clientOr(c, async (client) => {
      const { logout_uri: logoutUri, redirect_uri: redirectUri, response_type: responseType } = c.req.query();
      if (!logoutUri && !redirectUri) {
        return c.html(errorPage("Required String parameter 'redirect_uri' is not present"), 400);
      }
      if (logoutUri ? !client.logoutUrls.includes(logoutUri) : !client.callbackUrls.includes(redirectUri ?? "")) {
        return c.html(errorPage("redirect_mismatch"), 400);
      }
      if (!logoutUri && !responseType) {
        return c.html(errorPage("Required String parameter 'response_type' is not present"), 400);
      }
      await pools.get(client.poolId).endSession(c.env.incoming, c.env.outgoing as ServerResponse);
      const cookie = cookieNames.session(client.poolId);
      for (const name of [cookie, `${cookie}.sig`])
        c.header("set-cookie", `${name}=; path=/; max-age=0`, { append: true });
      return c.redirect(logoutUri || `/login${new URL(c.req.url).search}`);
    });
  });

  app.route("/", userPages(directory, pools, customers, events, clientOr));
  return app;
}

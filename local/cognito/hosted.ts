import type { ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { errors } from "oidc-provider";
import type { Events } from "../support/events";
import { cookieNames } from "./cookies";
import type { Customers } from "./customer";
import type { AppClient, Directory } from "./directory";
import { errorPage, loginPage, seededPage, unavailablePage } from "./pages";
import type { Pool } from "./pool";
import type { Pools } from "./pools";
import { languageOf } from "./translations";

type Env = { Bindings: HttpBindings };
type Request = Context<Env>;

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

  app.get("/login", (c) =>
    clientOr(c, async (client) => {
      if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
      const interaction = await interactionOf(c, pools.get(client.poolId), client);
      // Opening /login directly is allowed in Cognito and starts a new sign-in.
      if (!interaction?.cid) return c.redirect(`/oauth2/authorize${new URL(c.req.url).search}`);
      events.emit({ source: "cognito", summary: "sign-in page" });
      c.header("cache-control", "no-store");
      return c.html(loginPage({ ...view(c), customers: customers.all, csrf: interaction.cid }));
    }),
  );

  app.post("/login", (c) =>
    clientOr(c, async (client) => {
      if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
      const pool = pools.get(client.poolId);
      const form = await c.req.parseBody();
      const interaction = await interactionOf(c, pool, client);
      if (!interaction?.cid) return c.redirect(`/oauth2/authorize${new URL(c.req.url).search}`);
      const again = (alert: "incorrect" | "stale") =>
        c.html(
          loginPage({
            ...view(c),
            customers: customers.all,
            csrf: interaction.cid ?? "",
            alert,
            email: typeof form.username === "string" ? form.username : "",
          }),
          alert === "stale" ? 403 : 200,
        );
      if (form._csrf !== interaction.cid) return again("stale");
      const customer = typeof form.customer === "string" ? customers.bySub(form.customer) : byPassword(customers, form);
      if (!customer) return again("incorrect");
      const { incoming, outgoing } = c.env;
      return c.redirect(
        await pool.provider.interactionResult(incoming, outgoing as ServerResponse, {
          login: { accountId: customer.sub },
        }),
      );
    }),
  );

  app.get("/logout", (c) =>
    clientOr(c, async (client) => {
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
    }),
  );

  app.get("/signup", (c) => clientOr(c, () => c.html(seededPage("signUp", view(c).language, view(c).query))));
  app.get("/forgotPassword", (c) => clientOr(c, () => c.html(seededPage("forgot", view(c).language, view(c).query))));

  return app;
}

function view(c: Request) {
  const query = new URL(c.req.url).searchParams;
  return { query, language: languageOf(query.get("lang") ?? undefined, c.req.header("accept-language")) };
}

function byPassword(customers: Customers, form: Record<string, unknown>) {
  if (typeof form.username !== "string") return undefined;
  const customer = customers.byEmail(form.username);
  return customer?.password === form.password ? customer : undefined;
}

/** The browser's pending sign-in, if it belongs to this client. */
async function interactionOf(c: Request, pool: Pool, client: AppClient) {
  try {
    const interaction = await pool.provider.interactionDetails(c.env.incoming, c.env.outgoing as ServerResponse);
    return interaction.params.client_id === client.id ? interaction : undefined;
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined;
    throw error;
  }
}

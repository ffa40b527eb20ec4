import type { ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { errors } from "oidc-provider";
import type { Events } from "../support/events";
import { cookieNames } from "./cookies";
import type { Customers } from "./customer";
import type { AppClient, Directory } from "./directory";
import { errorPage, type LoginView, loginPage, seededPage, unavailablePage } from "./pages";
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

  const signInPage = (c: Request, interaction: Interaction, retry: Pick<LoginView, "alert" | "email"> = {}) => {
    c.header("cache-control", "no-store");
    const csrf = `${interaction.uid}.${interaction.cid}`;
    return c.html(
      loginPage({ ...view(c), customers: customers.all, csrf, ...retry }),
      retry.alert === "stale" ? 403 : 200,
    );
  };
  // Opening /login directly is allowed in Cognito and starts a new sign-in.
  const startAgain = (c: Request) => c.redirect(`/oauth2/authorize${new URL(c.req.url).search}`);

  app.get("/login", (c) =>
    clientOr(c, async (client) => {
      if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
      const interaction = await latestInteraction(c, pools.get(client.poolId), client);
      if (!interaction) return startAgain(c);
      events.emit({ source: "cognito", summary: "sign-in page" });
      return signInPage(c, interaction);
    }),
  );

  app.post("/login", (c) =>
    clientOr(c, async (client) => {
      if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
      const pool = pools.get(client.poolId);
      const form = await c.req.parseBody();
      const interaction = await interactionOfForm(form, pool, client);
      const email = typeof form.username === "string" ? form.username : "";
      if (!interaction) {
        const latest = await latestInteraction(c, pool, client);
        return latest ? signInPage(c, latest, { alert: "stale", email }) : startAgain(c);
      }
      const caseSensitive = directory.isCaseSensitive(client.poolId);
      const customer =
        typeof form.customer === "string" ? customers.bySub(form.customer) : byPassword(customers, form, caseSensitive);
      if (!customer) return signInPage(c, interaction, { alert: "incorrect", email });
      return c.redirect(await signIn(interaction, customer.sub));
    }),
  );

  app.get("/logout", (c) => {
    if (c.req.query("post_logout_redirect_uri")) {
      const text =
        "Cognito's /logout is not the one of OpenID Connect: send client_id and logout_uri instead of post_logout_redirect_uri.";
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

  app.get("/signup", (c) => clientOr(c, () => c.html(seededPage("signUp", view(c).language, view(c).query))));
  app.get("/forgotPassword", (c) => clientOr(c, () => c.html(seededPage("forgot", view(c).language, view(c).query))));

  return app;
}

function view(c: Request) {
  const query = new URL(c.req.url).searchParams;
  return { query, language: languageOf(query.get("lang") ?? undefined, c.req.header("accept-language")) };
}

function byPassword(customers: Customers, form: Record<string, unknown>, caseSensitive: boolean) {
  if (typeof form.username !== "string") return undefined;
  const customer = customers.byEmail(form.username, { caseSensitive });
  return customer?.password === form.password ? customer : undefined;
}

/** A pending sign-in. */
type Interaction = Awaited<ReturnType<Pool["provider"]["interactionDetails"]>>;

/** The browser's newest pending sign-in, if the page's query belongs to it. */
async function latestInteraction(c: Request, pool: Pool, client: AppClient): Promise<Interaction | undefined> {
  try {
    const interaction = await pool.provider.interactionDetails(c.env.incoming, c.env.outgoing as ServerResponse);
    const query = c.req.query();
    const isOfPage = Object.entries(interaction.params).every(
      ([name, value]) => name === "lang" || query[name] === value,
    );
    return isOfPage && interaction.params.client_id === client.id ? interaction : undefined;
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined;
    throw error;
  }
}

/**
 * The pending sign-in whose page contained the form, which need not be the browser's newest one. A form of another
 * browser leads nowhere: to continue, a browser needs the sign-in's `resume` cookie.
 */
async function interactionOfForm(
  form: Record<string, unknown>,
  pool: Pool,
  client: AppClient,
): Promise<Interaction | undefined> {
  const [uid = "", cid] = String(form._csrf).split(".");
  const interaction = await pool.provider.Interaction.find(uid);
  if (!interaction || interaction.cid !== cid) return undefined;
  return interaction.params.client_id === client.id ? interaction : undefined;
}

/** Stores who has signed in. Returns the URL at which the OIDC server continues. */
async function signIn(interaction: Interaction, sub: string): Promise<string> {
  interaction.result = { login: { accountId: sub } };
  await interaction.save(interaction.exp - Math.floor(Date.now() / 1000));
  return interaction.returnTo;
}

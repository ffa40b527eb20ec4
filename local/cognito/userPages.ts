import { Hono } from "hono";
import { JsonProtocolError } from "../aws/jsonProtocol";
import type { Events } from "../support/events";
import type { Caller, Customers } from "./customers";
import type { AppClient, Directory } from "./directory";
import {
  csrfOf,
  type Env,
  type Interaction,
  interactionOfForm,
  latestInteraction,
  type Request,
  signIn,
} from "./interactions";
import { PAGE_PARAM, type PageName } from "./oidc";
import {
  confirmPage,
  forgotPage,
  type Html,
  loginPage,
  type PageView,
  resetPage,
  signUpPage,
  unavailablePage,
} from "./pages";
import type { Pools } from "./pools";
import { type Alert, alertOf, languageOf } from "./translations";

/** A GET request for a page of a pending sign-in, or a POST request with the form of the page. */
interface Visit extends Caller {
  c: Request;
  interaction: Interaction;
  /** Fields of the form. Empty for a GET request. */
  form: Record<string, string>;
}

/** Calls `answer` with the app client that the query names, or returns an error page. */
type WithClient = (
  c: Request,
  answer: (client: AppClient) => Response | Promise<Response>,
) => Response | Promise<Response>;

/** Query parameters that belong to one page. Links to other pages omit them. */
const OWN_PARAMS = ["username", "notice"];

/**
 * Serves the pages of managed login: `/login`, `/signup`, `/confirmUser`, `/forgotPassword` and
 * `/confirmForgotPassword`. Every page belongs to a pending sign-in. When the browser has no pending sign-in, the page
 * starts one. https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login-endpoints.html
 */
export function userPages(
  directory: Directory,
  pools: Pools,
  customers: Customers,
  events: Events,
  clientOr: WithClient,
): Hono<Env> {
  const app = new Hono<Env>();

  /**
   * Adds a page.
   *
   * @param show renders the page
   * @param submit handles the page's form. If `submit` throws a JsonProtocolError, the page shows the error
   */
  const page = (
    path: `/${PageName}`,
    show: (view: PageView) => Html,
    submit: (visit: Visit) => Promise<Response> | Response,
  ) => {
    const render = (visit: Omit<Visit, "form">, email: string, alert?: Alert, status: 200 | 403 = 200) => {
      visit.c.header("cache-control", "no-store");
      return visit.c.html(show(viewOf(visit, email, alert)), status);
    };

    app.get(path, (c) =>
      clientOr(c, async (client) => {
        if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
        const interaction = await latestInteraction(c, pools.get(client.poolId), client);
        if (!interaction) return start(c, path);
        events.emit({ source: "cognito", summary: `page ${path}` });
        return render({ c, interaction, client, rules: directory.rules(client.poolId) }, "");
      }),
    );

    app.post(path, (c) =>
      clientOr(c, async (client) => {
        if (!directory.hasLoginPages(client)) return c.html(unavailablePage(), 403);
        const pool = pools.get(client.poolId);
        const form = textsOf(await c.req.parseBody());
        const email = form.username ?? "";
        const interaction = await interactionOfForm(form._csrf ?? "", pool, client);
        const rules = directory.rules(client.poolId);
        if (!interaction) {
          const latest = await latestInteraction(c, pool, client);
          return latest ? render({ c, interaction: latest, client, rules }, email, "stale", 403) : start(c, path);
        }
        try {
          return await submit({ c, interaction, client, rules, form });
        } catch (error) {
          if (!(error instanceof JsonProtocolError)) throw error;
          return render({ c, interaction, client, rules }, email, error);
        }
      }),
    );
  };

  const viewOf = ({ c, interaction, rules }: Omit<Visit, "form">, email: string, alert?: Alert): PageView => {
    const query = new URL(c.req.url).searchParams;
    const language = languageOf(query.get("lang") ?? undefined, c.req.header("accept-language"));
    return {
      language,
      path: c.req.path,
      query: sharedQuery(c),
      csrf: csrfOf(interaction),
      customers: customers.seeded,
      rules,
      email: email || (query.get("username") ?? ""),
      ...(alert && { alert: alertOf(alert, language) }),
      hasNewPassword: query.get("notice") === "reset",
    };
  };

  page("/login", loginPage, async ({ c, interaction, rules, form }) => {
    const { customer: sub, username = "", password = "" } = form;
    const customer = sub
      ? customers.seeded.find((seeded) => seeded.sub === sub)
      : customers.byPassword(username, password, rules);
    if (!customer) throw new JsonProtocolError("NotAuthorizedException", "Incorrect username or password.");
    if (customer.status === "UNCONFIRMED") return goTo(c, "/confirmUser", { username: customer.email });
    return c.redirect(await signIn(interaction, customer.sub));
  });

  page("/signup", signUpPage, (visit) => {
    const { email } = customers.signUp(visit, visit.form.username ?? "", visit.form.password ?? "");
    return goTo(visit.c, "/confirmUser", { username: email });
  });

  page("/confirmUser", confirmPage, async (visit) => {
    const { c, interaction, form } = visit;
    const email = form.username ?? "";
    if (form.action === "resend") {
      customers.resendCode(visit, email);
      return goTo(c, "/confirmUser", { username: email });
    }
    return c.redirect(await signIn(interaction, customers.confirmSignUp(visit, email, form.code ?? "").sub));
  });

  page("/forgotPassword", forgotPage, (visit) => {
    const email = visit.form.username ?? "";
    customers.forgotPassword(visit, email);
    return goTo(visit.c, "/confirmForgotPassword", { username: email });
  });

  page("/confirmForgotPassword", resetPage, (visit) => {
    const { username = "", code = "", password = "" } = visit.form;
    customers.resetPassword(visit, username, code, password);
    return goTo(visit.c, "/login", { username, notice: "reset" });
  });

  return app;
}

/** Starts a sign-in at a page that the browser has opened directly. */
function start(c: Request, path: string): Response {
  const query = sharedQuery(c);
  if (path !== "/login") query.set(PAGE_PARAM, path.slice(1));
  return c.redirect(`/oauth2/authorize?${query}`);
}

/** Redirects to another page of the same sign-in. */
function goTo(c: Request, path: string, params: Record<string, string>): Response {
  const query = sharedQuery(c);
  for (const [name, value] of Object.entries(params)) query.set(name, value);
  return c.redirect(`${path}?${query}`);
}

function sharedQuery(c: Request): URLSearchParams {
  const query = new URL(c.req.url).searchParams;
  for (const name of OWN_PARAMS) query.delete(name);
  return query;
}

function textsOf(form: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

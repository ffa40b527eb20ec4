import { type HttpResponse, send } from "./http";
import { ApiProblem, problemFromResponse } from "./problem";
import type { PaidPlan, PlanInfo, Redirect, Session } from "./types";

/** Settings of the auth and billing API's client. */
export interface ApiOptions {
  /** Base URL of the API: the stack output `apiUrl`. */
  apiUrl: string;
  /**
   * Returns the customer's **ID** token, or undefined when nobody is signed in. `SignIn.getIdToken` fits.
   *
   * @param rejected an ID token that the API has just rejected, although it looked valid by this device's clock
   */
  getIdToken: (rejected?: string) => Promise<string | undefined>;
  /** Time limit of one request. Default 15 s. */
  timeoutMs?: number;
}

/** Auth and billing API. Every method throws `ApiProblem`. */
export interface Api {
  /** Creates a session for the signed-in customer: plan, chat endpoint and ticket. */
  session(): Promise<Session>;
  /**
   * Creates a session for a guest without sign-in. Every further call renews the session of the same guest, because the
   * API limits how many new guests an address may bring.
   */
  guest(): Promise<Session>;
  /** Reads the customer's plan and its reason. */
  plan(): Promise<PlanInfo>;
  /**
   * Creates a Stripe Checkout page for a plan. Open its URL. Stripe redirects back with `?checkout=success` or
   * `?checkout=cancelled`.
   *
   * @throws ApiProblem `already_subscribed` or `checkout_refused`, besides the usual codes
   */
  checkout(plan: PaidPlan): Promise<Redirect>;
  /**
   * Creates a page of Stripe's customer portal, where the customer changes or cancels the plan or updates the card. Open
   * its URL. Stripe redirects back with `?portal=return`.
   *
   * @param plan opens the page on which a subscriber confirms the change to this plan
   *
   * @throws ApiProblem `nothing_bought`, besides the usual codes
   */
  portal(plan?: PaidPlan): Promise<Redirect>;
  /**
   * Reads the plan from Stripe now. Call it after the redirect back from Stripe, because Stripe's event may still be on
   * its way. A session created afterwards has the new plan.
   */
  sync(): Promise<PlanInfo>;
}

/**
 * Creates the client of the auth and billing API.
 *
 * @example
 * const api = createApi({ apiUrl, getIdToken: signIn.getIdToken });
 * const session = await api.session();
 */
export function createApi({ apiUrl, getIdToken, timeoutMs = 15_000 }: ApiOptions): Api {
  const base = apiUrl.replace(/\/+$/, "");

  function call(method: "GET" | "POST", path: string, token: string | undefined, body?: object) {
    const headers = {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body && { "Content-Type": "application/json" }),
    };
    return send({ method, url: base + path, headers, ...(body && { body: JSON.stringify(body) }), timeoutMs });
  }

  function read(request: string, response: HttpResponse): unknown {
    if (!response.ok) throw problemFromResponse(request, response);
    if (response.body === undefined) throw new ApiProblem("internal", `${request} did not answer JSON.`);
    return response.body;
  }

  async function callSignedIn(method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
    const token = await getIdToken();
    if (token === undefined) throw new ApiProblem("unauthorized", "Sign in to continue.");
    let response = await call(method, path, token, body);
    if (response.status === 401) {
      const next = await getIdToken(token);
      if (next !== undefined && next !== token) response = await call(method, path, next, body);
    }
    return read(`${method} ${path}`, response);
  }

  /** Ticket of the last guest session. It proves to the API that the guest is not new. */
  let guestTicket: string | undefined;

  async function guest(): Promise<Session> {
    const session = read("POST /auth/guest", await call("POST", "/auth/guest", guestTicket)) as Session;
    guestTicket = session.ticket;
    return session;
  }

  return {
    session: async () => (await callSignedIn("POST", "/auth/session")) as Session,
    guest,
    plan: async () => (await callSignedIn("GET", "/billing/plan")) as PlanInfo,
    checkout: async (plan) => (await callSignedIn("POST", "/billing/checkout", { plan })) as Redirect,
    portal: async (plan) => (await callSignedIn("POST", "/billing/portal", plan && { plan })) as Redirect,
    sync: async () => (await callSignedIn("POST", "/billing/sync")) as PlanInfo,
  };
}

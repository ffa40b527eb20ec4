import { callJson } from "./http";
import { ApiProblem } from "./problem";
import type { PaidPlan, PlanInfo, Redirect, Session } from "./types";

/** Settings of the auth and billing API's client. */
export interface ApiOptions {
  /** Base URL of the API: the stack output `apiUrl`. */
  apiUrl: string;
  /**
   * Returns the customer's **ID** token, or undefined when nobody is signed in. You can pass `SignIn.getIdToken`.
   *
   * @param rejected an ID token that the API has just rejected, although it looked valid by this device's clock
   */
  getIdToken: (rejected?: string) => Promise<string | undefined>;
  /** Time limit of one request. Default 15 s. */
  timeoutMs?: number | undefined;
}

/** Auth and billing API. Every method throws `ApiProblem`. */
export interface Api {
  /** Creates a session for the signed-in customer: plan, chat endpoint and ticket. */
  session(): Promise<Session>;
  /**
   * Creates a session for a guest without sign-in. Every further call renews the session of the same guest, because the
   * API limits the number of new guests per IP address.
   */
  guest(): Promise<Session>;
  /** Reads the customer's plan and its reason. */
  plan(): Promise<PlanInfo>;
  /**
   * Creates a Stripe Checkout page for a plan. Open its URL. Stripe redirects back with `?checkout=success` or
   * `?checkout=cancelled`.
   *
   * @throws ApiProblem `already_subscribed` or `checkout_refused`, in addition to the usual codes
   */
  checkout(plan: PaidPlan): Promise<Redirect>;
  /**
   * Creates a page of Stripe's customer portal, where the customer changes or cancels the plan or updates the card. Open
   * its URL. Stripe redirects back with `?portal=return`.
   *
   * @param plan opens the page on which a subscriber confirms the change to this plan
   *
   * @throws ApiProblem `nothing_bought`, in addition to the usual codes
   */
  portal(plan?: PaidPlan): Promise<Redirect>;
  /**
   * Reads the plan from Stripe now. Call this method after Stripe has redirected the customer back, because Stripe's
   * event can arrive later. A session created afterwards has the new plan.
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
  async function call<T>(method: "GET" | "POST", path: string, token: string | undefined, body?: object): Promise<T> {
    const authorization = token && `Bearer ${token}`;
    return (await callJson(method, { url: apiUrl, authorization }, path, { body, timeoutMs })) as T;
  }

  async function callSignedIn<T>(method: "GET" | "POST", path: string, body?: object): Promise<T> {
    const token = await getIdToken();
    if (token === undefined) throw new ApiProblem("unauthorized", "Sign in again.");
    try {
      return await call<T>(method, path, token, body);
    } catch (error) {
      const next = error instanceof ApiProblem && error.code === "unauthorized" ? await getIdToken(token) : token;
      if (next === undefined || next === token) throw error;
      return call<T>(method, path, next, body);
    }
  }

  /** Ticket of the newest guest session. The ticket proves to the API that the guest is not new. */
  let guestTicket: string | undefined;

  async function guest(): Promise<Session> {
    const session = await call<Session>("POST", "/auth/guest", guestTicket);
    guestTicket = session.ticket;
    return session;
  }

  return {
    session: () => callSignedIn("POST", "/auth/session"),
    guest,
    plan: () => callSignedIn("GET", "/billing/plan"),
    checkout: (plan) => callSignedIn("POST", "/billing/checkout", { plan }),
    portal: (plan) => callSignedIn("POST", "/billing/portal", plan && { plan }),
    sync: () => callSignedIn("POST", "/billing/sync"),
  };
}

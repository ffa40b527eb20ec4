import { send } from "./http";
import { ApiProblem, problemOfAnswer } from "./problem";
import type { PaidPlan, PlanInfo, Redirect, Session } from "./types";

/** How to reach the auth and billing API. */
export interface ApiOptions {
  /** Its base URL: the stack output `apiUrl`. */
  apiUrl: string;
  /** The signed-in customer's **ID** token, or undefined when nobody is signed in. `SignIn.getIdToken` fits. */
  getIdToken: () => Promise<string | undefined>;
  /** Limit of one call. Default 15 s. */
  timeoutMs?: number;
}

/** The auth and billing API. Every call throws `ApiProblem`. */
export interface Api {
  /** Plan, route and ticket of the signed-in customer. */
  session(): Promise<Session>;
  /** The same for someone not signed in. */
  guest(): Promise<Session>;
  /** The signed-in customer's plan and why they have it. */
  plan(): Promise<PlanInfo>;
  /**
   * Where to pay for a plan. Go to the URL: it comes back with `?checkout=success` or `?checkout=cancelled`.
   *
   * @throws ApiProblem also `already_subscribed`, or `checkout_refused`
   */
  checkout(plan: PaidPlan): Promise<Redirect>;
  /**
   * Where to change or cancel a plan, or mend a card. Go to the URL: it comes back with `?portal=return`.
   *
   * @throws ApiProblem also `nothing_bought`
   */
  portal(): Promise<Redirect>;
  /**
   * The plan as Stripe has it at this moment, for the way back from either: an event may still be under way. A session
   * made after it has the new plan.
   */
  sync(): Promise<PlanInfo>;
}

/**
 * Makes the API's client.
 *
 * @example
 * const api = createApi({ apiUrl, getIdToken: signIn.getIdToken });
 * const session = await api.session();
 */
export function createApi({ apiUrl, getIdToken, timeoutMs = 15_000 }: ApiOptions): Api {
  const base = apiUrl.replace(/\/+$/, "");

  async function call(
    method: "GET" | "POST",
    path: string,
    sent: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<unknown> {
    const answer = await send({ method, url: base + path, ...sent, timeoutMs });
    if (!answer.ok) throw problemOfAnswer(`${method} ${path}`, answer.status, answer.body);
    if (answer.body === undefined) throw new ApiProblem("internal", `${method} ${path} did not answer JSON.`);
    return answer.body;
  }

  async function signedIn(method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
    const token = await getIdToken();
    if (token === undefined) throw new ApiProblem("unauthorized", "Sign in to continue.");
    const headers = { Authorization: `Bearer ${token}` };
    if (!body) return call(method, path, { headers });
    return call(method, path, {
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  return {
    session: async () => (await signedIn("POST", "/auth/session")) as Session,
    guest: async () => (await call("POST", "/auth/guest")) as Session,
    plan: async () => (await signedIn("GET", "/billing/plan")) as PlanInfo,
    checkout: async (plan) => (await signedIn("POST", "/billing/checkout", { plan })) as Redirect,
    portal: async () => (await signedIn("POST", "/billing/portal")) as Redirect,
    sync: async () => (await signedIn("POST", "/billing/sync")) as PlanInfo,
  };
}

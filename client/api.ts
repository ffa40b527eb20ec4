import { send } from "./http";
import { ApiProblem, problemOfAnswer } from "./problem";
import type { PlanInfo, Session } from "./types";

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

  async function call(method: "GET" | "POST", path: string, headers: Record<string, string> = {}): Promise<unknown> {
    const answer = await send({ method, url: base + path, headers, timeoutMs });
    if (!answer.ok) throw problemOfAnswer(`${method} ${path}`, answer.status, answer.body);
    if (answer.body === undefined) throw new ApiProblem("internal", `${method} ${path} did not answer JSON.`);
    return answer.body;
  }

  async function signedIn(method: "GET" | "POST", path: string): Promise<unknown> {
    const token = await getIdToken();
    if (token === undefined) throw new ApiProblem("unauthorized", "Sign in to continue.");
    return call(method, path, { Authorization: `Bearer ${token}` });
  }

  return {
    session: async () => (await signedIn("POST", "/auth/session")) as Session,
    guest: async () => (await call("POST", "/auth/guest")) as Session,
    plan: async () => (await signedIn("GET", "/billing/plan")) as PlanInfo,
  };
}

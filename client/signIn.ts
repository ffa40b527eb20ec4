import { base64url, randomText } from "./bytes";
import { type HttpRequest, send, sendLast } from "./http";
import { type Customer, customerOf } from "./idToken";
import { openPendingSignIns, type Pending } from "./pending";
import { ApiProblem, field, textField } from "./problem";
import { createSafeStore, type KeyValueStorage } from "./store";
import { connectTabs, createListeners } from "./tabs";
import { checkDecided, createRefresher, openTokenStore, type TokenEndpoint, tokensOf } from "./tokens";

/** Settings of the Cognito app client. The stack output `signIn` contains the first four settings. */
export interface SignInOptions {
  /** The hosted domain, such as `https://snack-misaki.auth.ap-northeast-1.amazoncognito.com`. */
  url: string;
  clientId: string;
  /** `iss` of the user pool's ID tokens. */
  issuer: string;
  scopes: readonly string[];
  /** One of the app client's callback URLs, exactly as configured. */
  redirectUri: string;
  /** One of the app client's logout URLs, exactly as configured. */
  logoutUri: string;
  /**
   * Stores the tokens and the pending sign-ins. Default: `localStorage`, so that all tabs share one sign-in. With
   * `sessionStorage`, a duplicated tab would have a copy of the refresh token. The next refresh in the other tab makes
   * this copy invalid.
   */
  storage?: KeyValueStorage;
  /** Time limit of one request. Default 15 s. */
  timeoutMs?: number;
}

/** Options of the hosted pages. */
export interface StartOptions {
  /** Opens the page for a new account instead of the sign-in page. */
  signUp?: boolean;
  /**
   * Language of the hosted pages, such as `ja`. Default: the browser's language. Cognito's classic pages ignore this
   * option.
   */
  lang?: string;
  /**
   * `login` asks for the password again, even if Cognito remembers the customer. `none` shows no page: the callback has
   * the error `login_required` when Cognito does not remember the customer.
   */
  prompt?: "login" | "none";
}

/** A change of the signed-in customer, in this tab or in another tab. */
export type SignInEvent =
  | { type: "signedIn"; customer: Customer }
  /** The customer has signed out. */
  | { type: "signedOut" }
  /** Cognito no longer accepts the sign-in: it was revoked or has expired. Ask the customer to sign in again. */
  | { type: "sessionLost" };

/** Sign-in at Cognito's hosted pages: authorization code with PKCE (RFC 7636). */
export interface SignIn {
  /**
   * Starts a sign-in and returns the URL to open.
   *
   * @throws ApiProblem `unavailable` when the browser refuses storage, or when the page is not served over https
   */
  startSignIn(options?: StartOptions): Promise<string>;
  /**
   * Finishes a sign-in: checks `state`, exchanges the code, checks the ID token and stores the tokens. A second call with
   * the same URL returns the same customer. Replace the page's URL after success.
   *
   * @param callbackUrl the URL to which the hosted pages redirected
   * @throws ApiProblem `unauthorized` when Cognito rejected the sign-in, or when the URL does not belong to a pending
   * sign-in of this browser
   * @throws ApiProblem with `retryable` when Cognito cannot be reached. Call this method again with the same URL
   */
  finishSignIn(callbackUrl: string): Promise<Customer>;
  /**
   * Returns the signed-in customer from the stored token, without a request. Returns the same object until the customer
   * changes.
   */
  customer(): Customer | undefined;
  /**
   * Returns the ID token. Refreshes the token first when it expires in less than a minute. Returns undefined when
   * nobody is signed in or Cognito rejects the refresh.
   *
   * @param rejected an ID token that the API has rejected. The method then returns a different token
   * @throws ApiProblem when the ID token has expired and Cognito cannot be reached. The customer stays signed in
   */
  getIdToken(rejected?: string): Promise<string | undefined>;
  /**
   * Deletes the tokens in every tab, revokes the refresh token and returns Cognito's logout URL. Open that URL to end
   * the hosted session too.
   */
  signOut(): Promise<string>;
  /** Calls the listener at every change. Returns a function that removes the listener. */
  subscribe(listener: (event: SignInEvent) => void): () => void;
}

/**
 * Creates the sign-in for one app client.
 *
 * @example
 * const signIn = createSignIn({ ...outputs.signIn, redirectUri, logoutUri });
 * location.assign(await signIn.startSignIn({ lang: "ja" }));
 * // on the callback page
 * await signIn.finishSignIn(location.href);
 */
export function createSignIn({
  url,
  clientId,
  issuer,
  scopes,
  redirectUri,
  logoutUri,
  storage,
  timeoutMs = 15_000,
}: SignInOptions): SignIn {
  const base = url.replace(/\/+$/, "");
  const expected = { iss: issuer, aud: clientId };
  const store = createSafeStore(storage);
  // Clients of several stacks may share one site.
  const tokens = openTokenStore(store, `snack-misaki.tokens.${clientId}`);
  const pendingSignIns = openPendingSignIns(store, `snack-misaki.sign-in.${clientId}`);
  const listeners = createListeners<SignInEvent>();
  const tellTabs = connectTabs(`snack-misaki.sign-in.${clientId}`, onMessage);
  const finishing = new Map<string, Promise<Customer>>();
  /** Number of sign-outs in this tab. A sign-in in progress must not undo a later sign-out. */
  let signOuts = 0;
  let seenToken: string | undefined;
  let seenCustomer: Customer | undefined;
  /** Id of the sign-in that the listeners know. */
  let toldId = tokens.read()?.id;

  // `fetch` sends the content type of a form.
  const requestOf = (path: string, form: Record<string, string>): HttpRequest => ({
    method: "POST",
    url: base + path,
    body: new URLSearchParams({ client_id: clientId, ...form }),
  });
  const endpoint: TokenEndpoint = {
    grant: (form) => send({ ...requestOf("/oauth2/token", form), timeoutMs }),
    // A failure must not block the sign-out, because the token expires anyway.
    revoke: async (token) => void (token && (await sendLast(requestOf("/oauth2/revoke", { token })))),
  };
  const getIdToken = createRefresher({ tokens, endpoint, expected, onLost: ({ id }) => announce("sessionLost", id) });

  /** Reads the currently signed-in customer. */
  function look(): Customer | undefined {
    const idToken = tokens.read()?.idToken;
    if (idToken !== seenToken) seenCustomer = customerOf(idToken);
    seenToken = idToken;
    return seenCustomer;
  }

  /**
   * Notifies the listeners when the stored sign-in differs from the sign-in that they know.
   *
   * @param reason type of the event that has ended the sign-in. Default: `signedOut`
   */
  function notice(reason?: unknown): void {
    const id = tokens.read()?.id;
    if (id === toldId) return;
    toldId = id;
    const customer = look();
    listeners.emit(
      customer ? { type: "signedIn", customer } : { type: reason === "sessionLost" ? reason : "signedOut" },
    );
  }

  function announce(type: SignInEvent["type"], id: string): void {
    notice(type);
    tellTabs({ type, id });
  }

  /** Handles another tab's message about a sign-in or sign-out. The other tab may use a different storage. */
  function onMessage(message: unknown): void {
    const type = field(message, "type");
    if (type !== "signedIn" && tokens.read()?.id === field(message, "id")) tokens.remove();
    notice(type);
  }

  // The message about another tab's sign-in can arrive before the tokens. The event `storage` arrives together with the
  // tokens.
  globalThis.addEventListener?.("storage", () => tokens.read() && notice());
  // A page in the browser's back/forward cache receives no messages.
  globalThis.addEventListener?.("pageshow", () => notice());

  async function finish(callbackUrl: string): Promise<Customer> {
    const query = new URLSearchParams(callbackUrl.split(/[?#]/)[1]);
    const state = query.get("state");
    const pending = pendingSignIns.all();
    const own = pending.find((one) => one.state === state);
    if (own) await complete(own, query);
    // Cognito sends some errors without `state`. A stranger's link must not be able to choose the text on the page.
    const error = query.get("error") ?? "";
    if (!own && pending[0] && /^\w+$/.test(error)) throw refused(error);
    // Without a pending sign-in, the visitor has reloaded a callback page that had finished its sign-in.
    const customer = look();
    if (!customer) throw refused("unknown state");
    return customer;
  }

  /** Exchanges the code of a pending sign-in. */
  async function complete(pending: Pending, query: URLSearchParams): Promise<void> {
    const before = signOuts;
    const { state: id, nonce, verifier } = pending;
    const code = query.get("code");
    if (code === null) {
      pendingSignIns.remove(pending);
      throw refused(query.get("error_description") ?? query.get("error") ?? "no code");
    }
    // Without an answer, the sign-in stays pending, so that the caller can try again.
    const response = await endpoint.grant({
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    });
    checkDecided(response);
    pendingSignIns.remove(pending);
    if (!response.ok) {
      // Another tab with the same callback may have used the code.
      if (tokens.read()?.id === id) return;
      throw refused(String(field(response.body, "error")));
    }
    try {
      if (signOuts !== before) throw refused("signed out meanwhile");
      tokens.write(tokensOf(response.body, { ...expected, nonce }, { id }));
    } catch (error) {
      await endpoint.revoke(textField(response.body, "refresh_token"));
      throw error;
    }
    announce("signedIn", id);
  }

  return {
    async startSignIn({ signUp = false, lang, prompt } = {}) {
      const pending = { state: randomText(), nonce: randomText(), verifier: randomText() };
      const challenge = await challengeOf(pending.verifier);
      pendingSignIns.add(pending);
      const query = new URLSearchParams({
        response_type: "code",
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: scopes.join(" "),
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: challenge,
        code_challenge_method: "S256",
        ...(lang && { lang }),
        ...(prompt && { prompt }),
      });
      return `${base}${signUp ? "/signup" : "/oauth2/authorize"}?${query}`;
    },

    finishSignIn(callbackUrl) {
      // React calls effects twice in its strict mode.
      const running = finishing.get(callbackUrl) ?? finish(callbackUrl).finally(() => finishing.delete(callbackUrl));
      finishing.set(callbackUrl, running);
      return running;
    },

    customer: look,
    getIdToken,

    async signOut() {
      signOuts++;
      const current = tokens.read();
      tokens.remove();
      if (current) {
        announce("signedOut", current.id);
        await endpoint.revoke(current.refreshToken);
      }
      return `${base}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: logoutUri })}`;
    },

    subscribe: listeners.subscribe,
  };
}

/** Problem of a sign-in that must be started again. */
function refused(reason: string): ApiProblem {
  return new ApiProblem("unauthorized", `Sign-in failed: ${reason}. Sign in again.`);
}

/**
 * @throws ApiProblem `unavailable` on a page that is not served over https. On such a page, browsers have no
 * `crypto.subtle`
 */
async function challengeOf(verifier: string): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new ApiProblem("unavailable", "Sign-in needs https or localhost.", { retryable: false });
  }
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

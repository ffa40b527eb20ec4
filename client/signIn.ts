import { type HttpResponse, send } from "./http";
import { ApiProblem, field, problemFromResponse } from "./problem";

/** Settings of the Cognito app client, from the stack's outputs or its configuration. */
export interface SignInOptions {
  /** The hosted domain, such as `https://snack-misaki.auth.ap-northeast-1.amazoncognito.com`. */
  url: string;
  clientId: string;
  /** One of the app client's callback URLs, exactly as configured. */
  redirectUri: string;
  /** One of the app client's logout URLs, exactly as configured. */
  logoutUri: string;
  scopes: readonly string[];
  /** Stores the tokens and the pending sign-in. In a browser: `sessionStorage`. */
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Time limit of one request. Default 15 s. */
  timeoutMs?: number;
}

/**
 * The signed-in customer, read from the ID token. Use it only for display, because the browser does not verify the
 * token.
 */
export interface Customer {
  sub: string;
  email?: string;
}

/** Sign-in at Cognito's hosted pages: authorization code with PKCE (RFC 7636). */
export interface SignIn {
  /** Starts a sign-in and returns the URL to open. */
  startSignIn(): Promise<string>;
  /**
   * Finishes a sign-in: checks `state`, exchanges the code and stores the tokens.
   *
   * @param callbackUrl the URL to which the hosted pages redirected
   * @throws ApiProblem `unauthorized` when Cognito rejected the sign-in, or when the URL does not belong to a pending
   * sign-in of this browser
   */
  finishSignIn(callbackUrl: string): Promise<Customer>;
  /** Returns the signed-in customer from the stored token, without a request. */
  customer(): Customer | undefined;
  /**
   * Returns the ID token. Refreshes it first when less than a minute of its lifetime is left. Returns undefined when
   * nobody is signed in or Cognito rejects the refresh.
   *
   * @throws ApiProblem when Cognito cannot be reached or is down; the customer stays signed in
   */
  getIdToken(): Promise<string | undefined>;
  /**
   * Deletes the tokens, revokes the refresh token and returns Cognito's logout URL. Open that URL to end the hosted
   * session too.
   */
  signOut(): Promise<string>;
}

interface Tokens {
  idToken: string;
  refreshToken?: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

const TOKENS_KEY = "snack-misaki.tokens";
const PENDING_KEY = "snack-misaki.sign-in";
const REFRESH_AHEAD_MS = 60_000;

/**
 * Creates the sign-in for one app client.
 *
 * @example
 * const signIn = createSignIn({ ...auth, storage: sessionStorage });
 * location.assign(await signIn.startSignIn());
 * // on the callback page
 * await signIn.finishSignIn(location.href);
 */
export function createSignIn({
  url,
  clientId,
  redirectUri,
  logoutUri,
  scopes,
  storage,
  timeoutMs = 15_000,
}: SignInOptions): SignIn {
  const base = url.replace(/\/+$/, "");
  const post: Post = (path, form) => {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const body = new URLSearchParams({ client_id: clientId, ...form }).toString();
    return send({ method: "POST", url: base + path, headers, body, timeoutMs });
  };
  const tokens = createTokenStore(storage, post);

  return {
    async startSignIn() {
      const state = randomText();
      const verifier = randomText();
      storage.setItem(PENDING_KEY, JSON.stringify({ state, verifier }));
      const query = new URLSearchParams({
        response_type: "code",
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: scopes.join(" "),
        state,
        code_challenge: await challengeOf(verifier),
        code_challenge_method: "S256",
      });
      return `${base}/oauth2/authorize?${query}`;
    },

    async finishSignIn(callbackUrl) {
      const { code, verifier } = readCallback(callbackUrl, storage);
      const form = { grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier };
      const response = await post("/oauth2/token", form);
      if (!response.ok) {
        // The token endpoint reports errors in OAuth's form: {"error": "invalid_grant"}.
        if (response.status === 400) throw new ApiProblem("unauthorized", "The sign-in was rejected. Sign in again.");
        throw problemFromResponse("The sign-in service", response);
      }
      return customerOf(tokens.store(response.body).idToken);
    },

    customer() {
      const stored = tokens.read();
      return stored && customerOf(stored.idToken);
    },

    getIdToken: tokens.getIdToken,

    async signOut() {
      const refreshToken = tokens.read()?.refreshToken;
      tokens.remove();
      storage.removeItem(PENDING_KEY);
      // A failed revocation must not block the sign-out, because the refresh token expires anyway.
      if (refreshToken !== undefined) await post("/oauth2/revoke", { token: refreshToken }).catch(() => undefined);
      return `${base}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: logoutUri })}`;
    },
  };
}

/** Sends a form to a path of the hosted domain. */
type Post = (path: string, form: Record<string, string>) => Promise<HttpResponse>;

/** Stores the tokens of the signed-in customer and refreshes them. */
function createTokenStore(storage: SignInOptions["storage"], post: Post) {
  let refreshing: Promise<string | undefined> | undefined;

  const read = () => parse<Tokens>(storage.getItem(TOKENS_KEY));
  const remove = () => storage.removeItem(TOKENS_KEY);

  /** Stores the tokens of a response of the token endpoint. */
  function store(body: unknown, previousRefreshToken?: string): Tokens {
    const idToken = field(body, "id_token");
    const expiresIn = field(body, "expires_in");
    if (typeof idToken !== "string" || typeof expiresIn !== "number") {
      throw new ApiProblem("internal", "The sign-in service answered without an ID token. Add openid to scopes.");
    }
    // Cognito returns a new refresh token only when token rotation is on.
    const refreshToken = field(body, "refresh_token") ?? previousRefreshToken;
    const tokens: Tokens = {
      idToken,
      expiresAt: Date.now() + expiresIn * 1000,
      ...(typeof refreshToken === "string" && { refreshToken }),
    };
    storage.setItem(TOKENS_KEY, JSON.stringify(tokens));
    return tokens;
  }

  async function refresh(refreshToken: string): Promise<string | undefined> {
    const response = await post("/oauth2/token", { grant_type: "refresh_token", refresh_token: refreshToken });
    if (response.ok) return store(response.body, refreshToken).idToken;
    if (response.status >= 500 || response.status === 429) throw problemFromResponse("The refresh", response);
    remove();
    return undefined;
  }

  async function getIdToken(): Promise<string | undefined> {
    const stored = read();
    if (!stored || Date.now() < stored.expiresAt - REFRESH_AHEAD_MS) return stored?.idToken;
    if (stored.refreshToken === undefined) {
      if (Date.now() < stored.expiresAt) return stored.idToken;
      remove();
      return undefined;
    }
    // Concurrent callers share one refresh. With token rotation, a second use of the same refresh token would end the
    // session.
    refreshing ??= refresh(stored.refreshToken).finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  return { read, store, remove, getIdToken };
}

/**
 * Reads the code from a callback URL and ends the pending sign-in.
 *
 * @throws ApiProblem `unauthorized` when the URL does not belong to the pending sign-in or has no code
 */
function readCallback(callbackUrl: string, storage: SignInOptions["storage"]): { code: string; verifier: string } {
  const query = new URL(callbackUrl).searchParams;
  const pending = parse<{ state: string; verifier: string }>(storage.getItem(PENDING_KEY));
  if (!pending || query.get("state") !== pending.state) {
    throw new ApiProblem("unauthorized", "This browser has no pending sign-in that fits the URL. Sign in again.");
  }
  storage.removeItem(PENDING_KEY);
  const code = query.get("code");
  if (code === null) {
    const reason = query.get("error_description") ?? query.get("error") ?? "no code";
    throw new ApiProblem("unauthorized", `The sign-in was not completed: ${reason}.`);
  }
  return { code, verifier: pending.verifier };
}

function parse<T>(text: string | null): T | undefined {
  return text === null ? undefined : (JSON.parse(text) as T);
}

function customerOf(idToken: string): Customer {
  const payload = idToken.split(".")[1] ?? "";
  const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const { sub, email } = JSON.parse(new TextDecoder().decode(bytes)) as { sub: string; email?: string };
  return { sub, ...(email !== undefined && { email }) };
}

function randomText(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

import { type HttpResponse, send } from "./http";
import { ApiProblem, field, parseJson, problemFromResponse } from "./problem";

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
  /**
   * Stores the tokens and the pending sign-ins. In a browser: `localStorage`, so that all tabs share one sign-in. With
   * `sessionStorage`, a duplicated tab would have a copy of the refresh token, which the other tab's next refresh ends.
   */
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
   * Deletes the tokens in every tab, revokes the refresh token and returns Cognito's logout URL. Open that URL to end
   * the hosted session too.
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
/** Sign-ins that may be open in several tabs at once. Older ones have been abandoned. */
const MAX_PENDING = 5;
/** Longest wait before the second attempt of a refresh. */
const RETRY_WITHIN_MS = 1_000;

/**
 * Creates the sign-in for one app client.
 *
 * @example
 * const signIn = createSignIn({ ...auth, storage: localStorage });
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
      const pending = [...readPending(storage), { state, verifier }].slice(-MAX_PENDING);
      storage.setItem(PENDING_KEY, JSON.stringify(pending));
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
      if (refreshToken !== undefined) await revoke(post, refreshToken);
      return `${base}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: logoutUri })}`;
    },
  };
}

/** Sends a form to a path of the hosted domain. */
type Post = (path: string, form: Record<string, string>) => Promise<HttpResponse>;

/** Revokes a refresh token. A failure must not block the sign-out, because the token expires anyway. */
async function revoke(post: Post, refreshToken: string): Promise<void> {
  await post("/oauth2/revoke", { token: refreshToken }).catch(() => undefined);
}

/**
 * Stores the tokens of the signed-in customer and refreshes them. Cognito replaces the refresh token at each refresh
 * and still accepts the old one for 60 s. So two tabs may refresh at once, and a refresh whose response was lost may be
 * repeated.
 */
function createTokenStore(storage: SignInOptions["storage"], post: Post) {
  let refreshing: Promise<string | undefined> | undefined;

  const read = () => {
    const tokens = parse(storage.getItem(TOKENS_KEY));
    return isTokens(tokens) ? tokens : undefined;
  };
  const remove = () => storage.removeItem(TOKENS_KEY);

  /** Stores the tokens of a response of the token endpoint. */
  function store(body: unknown, previousRefreshToken?: string): Tokens {
    const idToken = field(body, "id_token");
    const expiresIn = field(body, "expires_in");
    if (typeof idToken !== "string" || typeof expiresIn !== "number") {
      throw new ApiProblem("internal", "The sign-in service answered without an ID token. Add openid to scopes.");
    }
    // Without token rotation, Cognito returns no new refresh token.
    const refreshToken = field(body, "refresh_token") ?? previousRefreshToken;
    const tokens: Tokens = {
      idToken,
      expiresAt: Date.now() + expiresIn * 1000,
      ...(typeof refreshToken === "string" && { refreshToken }),
    };
    storage.setItem(TOKENS_KEY, JSON.stringify(tokens));
    return tokens;
  }

  async function refresh(sent: string): Promise<string | undefined> {
    const response = await requestRefresh(post, sent);
    if (response.status >= 500 || response.status === 429) throw problemFromResponse("The refresh", response);
    const current = read();
    // Another tab has refreshed meanwhile. All tabs must use the stored tokens.
    if (current && current.refreshToken !== sent) return current.idToken;
    if (!response.ok) {
      remove();
      return undefined;
    }
    if (current) return store(response.body, sent).idToken;
    // The customer has signed out meanwhile.
    const late = field(response.body, "refresh_token");
    if (typeof late === "string") await revoke(post, late);
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
    // Concurrent callers of a tab share one refresh.
    refreshing ??= refresh(stored.refreshToken).finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  return { read, store, remove, getIdToken };
}

/** Sends a refresh, and once more when no response arrives. */
async function requestRefresh(post: Post, refreshToken: string): Promise<HttpResponse> {
  const form = { grant_type: "refresh_token", refresh_token: refreshToken };
  try {
    return await post("/oauth2/token", form);
  } catch {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_WITHIN_MS));
    return post("/oauth2/token", form);
  }
}

function isTokens(value: unknown): value is Tokens {
  const refreshToken = field(value, "refreshToken");
  return (
    typeof field(value, "idToken") === "string" &&
    typeof field(value, "expiresAt") === "number" &&
    (refreshToken === undefined || typeof refreshToken === "string")
  );
}

/** A sign-in that has started and not returned yet. Each tab may have one. */
interface Pending {
  state: string;
  verifier: string;
}

function readPending(storage: SignInOptions["storage"]): Pending[] {
  const pending = parse(storage.getItem(PENDING_KEY));
  return Array.isArray(pending) ? pending.filter(isPending) : [];
}

function isPending(value: unknown): value is Pending {
  return typeof field(value, "state") === "string" && typeof field(value, "verifier") === "string";
}

/**
 * Reads the code from a callback URL and ends its pending sign-in.
 *
 * @throws ApiProblem `unauthorized` when the URL does not belong to the pending sign-in or has no code
 */
function readCallback(callbackUrl: string, storage: SignInOptions["storage"]): { code: string; verifier: string } {
  const query = new URL(callbackUrl).searchParams;
  const all = readPending(storage);
  const pending = all.find(({ state }) => state === query.get("state"));
  if (!pending) {
    throw new ApiProblem("unauthorized", "This browser has no pending sign-in that fits the URL. Sign in again.");
  }
  storage.setItem(PENDING_KEY, JSON.stringify(all.filter((one) => one !== pending)));
  const code = query.get("code");
  if (code === null) {
    const reason = query.get("error_description") ?? query.get("error") ?? "no code";
    throw new ApiProblem("unauthorized", `The sign-in was not completed: ${reason}.`);
  }
  return { code, verifier: pending.verifier };
}

function parse(text: string | null): unknown {
  return text === null ? undefined : parseJson(text);
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

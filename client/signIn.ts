import { send } from "./http";
import { ApiProblem, field, problemOfAnswer } from "./problem";

/** The app client's settings, all of them stack outputs or stack config. */
export interface SignInOptions {
  /** The hosted domain, such as `https://snack-misaki.auth.ap-northeast-1.amazoncognito.com`. */
  url: string;
  clientId: string;
  /** One of the app client's callback URLs, character for character. */
  redirectUri: string;
  /** One of the app client's logout URLs, character for character. */
  logoutUri: string;
  scopes: readonly string[];
  /** Where tokens and a sign-in under way are kept: `sessionStorage` in a browser. */
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Limit of one call. Default 15 s. */
  timeoutMs?: number;
}

/** Who is signed in, as the ID token says. For display only: the browser has not verified it. */
export interface Customer {
  sub: string;
  email?: string;
}

/** Sign-in of one customer at Cognito's hosted pages: authorization code with PKCE (RFC 7636). */
export interface SignIn {
  /** Begins a sign-in. Go to the URL it gives. */
  startSignIn(): Promise<string>;
  /**
   * Ends a sign-in with the URL the hosted pages came back to: checks `state`, exchanges the code, keeps the tokens.
   *
   * @throws ApiProblem `unauthorized` when the sign-in was refused, is not the one begun here, or was finished before
   */
  finishSignIn(callbackUrl: string): Promise<Customer>;
  /** Who is signed in, or undefined. Asks no one. */
  customer(): Customer | undefined;
  /**
   * The ID token, refreshed a minute before it ends; undefined when nobody is signed in (any more).
   *
   * @throws ApiProblem when the refresh could not be tried: the customer is still signed in
   */
  getIdToken(): Promise<string | undefined>;
  /** Forgets the tokens and revokes the refresh token. Go to the URL it gives to end the hosted session too. */
  signOut(): Promise<string>;
}

interface Tokens {
  idToken: string;
  refreshToken?: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

const TOKENS = "snack-misaki.tokens";
const PENDING = "snack-misaki.sign-in";
const REFRESH_AHEAD_MS = 60_000;

/**
 * Makes the sign-in of one app client.
 *
 * @example
 * const signIn = createSignIn({ ...auth, storage: sessionStorage });
 * location.assign(await signIn.startSignIn());
 * // at the callback URL
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
  let refreshing: Promise<string | undefined> | undefined;

  function post(path: string, form: Record<string, string>) {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const body = new URLSearchParams({ client_id: clientId, ...form }).toString();
    return send({ method: "POST", url: base + path, headers, body, timeoutMs });
  }

  function keep(body: unknown, previousRefreshToken?: string): Tokens {
    const idToken = field(body, "id_token");
    const expiresIn = field(body, "expires_in");
    if (typeof idToken !== "string" || typeof expiresIn !== "number") {
      throw new ApiProblem("internal", "The sign-in service answered without an ID token. Is scope openid asked for?");
    }
    // A refresh answers with a new refresh token only where rotation is on.
    const refreshToken = field(body, "refresh_token") ?? previousRefreshToken;
    const tokens: Tokens = {
      idToken,
      expiresAt: Date.now() + expiresIn * 1000,
      ...(typeof refreshToken === "string" && { refreshToken }),
    };
    storage.setItem(TOKENS, JSON.stringify(tokens));
    return tokens;
  }

  const tokens = () => read<Tokens>(storage.getItem(TOKENS));

  async function refresh(refreshToken: string): Promise<string | undefined> {
    const answer = await post("/oauth2/token", { grant_type: "refresh_token", refresh_token: refreshToken });
    if (answer.ok) return keep(answer.body, refreshToken).idToken;
    if (answer.status >= 500 || answer.status === 429) throw problemOfAnswer("The refresh", answer.status, answer.body);
    storage.removeItem(TOKENS);
    return undefined;
  }

  return {
    async startSignIn() {
      const state = randomText();
      const verifier = randomText();
      storage.setItem(PENDING, JSON.stringify({ state, verifier }));
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
      const query = new URL(callbackUrl).searchParams;
      const pending = read<{ state: string; verifier: string }>(storage.getItem(PENDING));
      if (!pending || query.get("state") !== pending.state) {
        throw new ApiProblem("unauthorized", "This sign-in was not begun here, or is over. Sign in again.");
      }
      storage.removeItem(PENDING);
      const code = query.get("code");
      if (code === null) {
        const why = query.get("error_description") ?? query.get("error") ?? "no code";
        throw new ApiProblem("unauthorized", `The sign-in was not completed: ${why}.`);
      }
      const form = {
        grant_type: "authorization_code",
        code,
        redirect_uri: redirectUri,
        code_verifier: pending.verifier,
      };
      const answer = await post("/oauth2/token", form);
      if (!answer.ok) {
        // The token endpoint speaks OAuth: {"error": "invalid_grant"}.
        if (answer.status === 400) throw new ApiProblem("unauthorized", "The sign-in was not accepted. Sign in again.");
        throw problemOfAnswer("The sign-in service", answer.status, answer.body);
      }
      return customerOf(keep(answer.body).idToken);
    },

    customer() {
      const current = tokens();
      return current && customerOf(current.idToken);
    },

    async getIdToken() {
      const current = tokens();
      if (!current || Date.now() < current.expiresAt - REFRESH_AHEAD_MS) return current?.idToken;
      if (current.refreshToken === undefined) {
        if (Date.now() < current.expiresAt) return current.idToken;
        storage.removeItem(TOKENS);
        return undefined;
      }
      // Callers at the same moment share one refresh: with rotation on, a second use of the token would end the session.
      refreshing ??= refresh(current.refreshToken).finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },

    async signOut() {
      const refreshToken = tokens()?.refreshToken;
      storage.removeItem(TOKENS);
      storage.removeItem(PENDING);
      // A revocation that fails must not keep the customer in: the token ends by itself.
      if (refreshToken !== undefined) await post("/oauth2/revoke", { token: refreshToken }).catch(() => undefined);
      return `${base}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: logoutUri })}`;
    },
  };
}

function read<T>(text: string | null): T | undefined {
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

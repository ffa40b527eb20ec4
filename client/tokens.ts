import type { HttpResponse } from "./http";
import { checkIdToken, customerOf, type ExpectedClaims } from "./idToken";
import { ApiProblem, field, textField } from "./problem";
import { delay } from "./stop";
import type { SafeStore } from "./store";

/** Tokens of a signed-in customer. */
export interface Tokens {
  /** Id of the sign-in. A refresh keeps the id. Every sign-in has a new id. */
  id: string;
  idToken: string;
  refreshToken: string | undefined;
  /** Expiry of the ID token in milliseconds since the epoch, by this device's clock. */
  expiresAt: number;
}

/** Cognito's endpoints for tokens. */
export interface TokenEndpoint {
  /** Exchanges a code or a refresh token for tokens. */
  grant(form: Record<string, string>): Promise<HttpResponse>;
  /** Revokes a refresh token, if there is one. Never fails. */
  revoke(refreshToken: string | undefined): Promise<void>;
}

/** Stored tokens, shared by all tabs. */
export interface TokenStore {
  /** Reads the tokens. Removes an invalid text, such as a text of an earlier version. */
  read(): Tokens | undefined;
  write(tokens: Tokens): void;
  remove(): void;
}

/** Opens the tokens in a storage. */
export function openTokenStore(store: SafeStore, key: string): TokenStore {
  return {
    read() {
      const tokens = store.get(key);
      if (isTokens(tokens)) return tokens;
      store.remove(key);
      return undefined;
    },
    write: (tokens) => void store.set(key, tokens),
    remove: () => store.remove(key),
  };
}

function isTokens(value: unknown): value is Tokens {
  return !!textField(value, "id") && !!customerOf(textField(value, "idToken")) && Number(field(value, "expiresAt")) > 0;
}

/**
 * Reads the tokens of a response of the token endpoint.
 *
 * @throws ApiProblem `internal` without an ID token, `unauthorized` for an ID token with unexpected claims
 */
export function tokensOf(
  body: unknown,
  expected: ExpectedClaims,
  previous: Pick<Tokens, "id"> & Partial<Tokens>,
): Tokens {
  const idToken = textField(body, "id_token");
  if (idToken === undefined) throw new ApiProblem("internal", "No ID token: add openid to scopes.");
  // `expires_in` is the lifetime of the access token. The ID token can have a different lifetime.
  const expiresAt = Date.now() + checkIdToken(idToken, expected);
  // Without token rotation, Cognito returns no new refresh token.
  const refreshToken = textField(body, "refresh_token") ?? previous.refreshToken;
  return { id: previous.id, idToken, expiresAt, refreshToken };
}

const REJECTIONS: unknown[] = ["invalid_grant", "invalid_client", "unauthorized_client"];

/**
 * Checks that the token endpoint accepts or rejects the code or the refresh token (RFC 6749, 5.2). Another response,
 * such as the 403 of a firewall, says nothing about the code or token.
 *
 * @throws ApiProblem `unavailable` for another response. The customer stays signed in
 */
export function checkDecided({ ok, status, body, retryAfterMs }: HttpResponse): void {
  const isRejected = (status === 400 || status === 401) && REJECTIONS.includes(field(body, "error"));
  if (ok || isRejected) return;
  throw new ApiProblem("unavailable", `POST /oauth2/token answered ${status}.`, { retryAfterMs });
}

/** Settings of `createRefresher`. */
export interface RefresherOptions {
  tokens: TokenStore;
  endpoint: TokenEndpoint;
  expected: ExpectedClaims;
  /** Called when Cognito has rejected the refresh token and the tokens are removed. */
  onLost: (tokens: Tokens) => void;
}

const REFRESH_AHEAD_MS = 60_000;
/** Longest wait before the second attempt of a refresh. */
const RETRY_WITHIN_MS = 1_000;

/**
 * Creates the function that returns the ID token and refreshes it when needed. Cognito replaces the refresh token at
 * each refresh and still accepts the old token for 60 s. So two tabs may refresh at the same time. A tab may also
 * repeat a refresh whose response was lost.
 */
export function createRefresher({ tokens, endpoint, expected, onLost }: RefresherOptions) {
  let refreshing: Promise<string | undefined> | undefined;

  function lose(lost: Tokens): undefined {
    tokens.remove();
    onLost(lost);
  }

  async function refresh(sent: Tokens): Promise<string | undefined> {
    const response = await requestRefresh(endpoint, sent.refreshToken ?? "");
    checkDecided(response);
    const current = tokens.read();
    if (!current || current.id !== sent.id) {
      // The customer has signed out meanwhile. The answer must not undo the sign-out.
      await endpoint.revoke(textField(response.body, "refresh_token"));
      return current?.idToken;
    }
    // Another tab has refreshed meanwhile. All tabs must use the stored tokens.
    if (current.refreshToken !== sent.refreshToken) return current.idToken;
    if (!response.ok) return lose(current);
    const fresh = tokensOf(response.body, { ...expected, sub: customerOf(sent.idToken)?.sub }, current);
    tokens.write(fresh);
    return fresh.idToken;
  }

  return async function getIdToken(rejected?: string): Promise<string | undefined> {
    const stored = tokens.read();
    if (!stored) return undefined;
    const mayUse = (aheadMs: number) => stored.idToken !== rejected && Date.now() < stored.expiresAt - aheadMs;
    if (mayUse(REFRESH_AHEAD_MS)) return stored.idToken;
    if (stored.refreshToken === undefined) return mayUse(0) ? stored.idToken : lose(stored);
    // Concurrent callers of a tab share one refresh.
    refreshing ??= refresh(stored).finally(() => {
      refreshing = undefined;
    });
    try {
      return await refreshing;
    } catch (error) {
      if (mayUse(0) && tokens.read()?.id === stored.id) return stored.idToken;
      throw error;
    }
  };
}

/** Sends a refresh. Sends it once more when no response arrives. */
async function requestRefresh(endpoint: TokenEndpoint, refreshToken: string): Promise<HttpResponse> {
  const form = { grant_type: "refresh_token", refresh_token: refreshToken };
  try {
    return await endpoint.grant(form);
  } catch {
    await delay(Math.random() * RETRY_WITHIN_MS);
    return endpoint.grant(form);
  }
}

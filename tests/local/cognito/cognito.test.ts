import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CognitoJwtVerifier } from "aws-jwt-verify";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { decodeJwt, decodeProtectedHeader } from "jose";
import * as openid from "openid-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AwsAccount, type AwsResource } from "../../../local/aws/support/account";
import { type CognitoDouble, type Customer, startCognito } from "../../../local/cognito/cognito";
import { Events } from "../../../local/support/events";

const POOL = "ap-northeast-1_Local12AB";
const CLIENT = "3n4b5urk1ft4fl3mg5e62d9ado";
const CALLBACK = "http://localhost:4100/callback";
const GOODBYE = "http://localhost:4100/";
const HTML = "text/html; charset=utf-8";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const customers: Customer[] = [
  { email: "free@example.com", password: "correct horse", label: "free" },
  { email: "paid@example.com", password: "battery staple", label: "paid", sub: "a7c41a68-50d1-7051-9c1b-2f1c8a1d0001" },
];

let dir: string;
let account: AwsAccount;
let events: Events;
let cognito: CognitoDouble;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "cognito-"));
  account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
  events = new Events();
  put("aws:cognito/userPool:UserPool", POOL, { name: "customers", usernameAttributes: ["email"] });
  put("aws:cognito/userPoolDomain:UserPoolDomain", "snack-misaki", {
    userPoolId: POOL,
    domain: "snack-misaki",
    managedLoginVersion: 2,
  });
  put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, clientProperties());
  put("aws:cognito/managedLoginBranding:ManagedLoginBranding", "branding", {
    userPoolId: POOL,
    clientId: CLIENT,
    useCognitoProvidedValues: true,
  });
  cognito = await start();
});

afterEach(async () => {
  await cognito.close();
  rmSync(dir, { recursive: true });
});

function start(): Promise<CognitoDouble> {
  return startCognito({ account, dir: join(dir, "cognito"), ports: { domain: 0, idp: 0 }, customers, events });
}

async function restart(): Promise<void> {
  await cognito.close();
  cognito = await start();
}

function put(type: string, id: string, properties: Record<string, unknown>): void {
  const resource: AwsResource = { type, id, inputs: properties, outputs: { ...properties, id } };
  account.put(resource);
}

function clientProperties(): Record<string, unknown> {
  return {
    name: "web",
    userPoolId: POOL,
    generateSecret: false,
    supportedIdentityProviders: ["COGNITO"],
    allowedOauthFlowsUserPoolClient: true,
    allowedOauthFlows: ["code"],
    allowedOauthScopes: ["openid", "email", "profile"],
    callbackUrls: [CALLBACK],
    logoutUrls: [GOODBYE],
    enableTokenRevocation: true,
    accessTokenValidity: 15,
    idTokenValidity: 20,
    refreshTokenValidity: 2,
    tokenValidityUnits: { accessToken: "minutes", idToken: "minutes", refreshToken: "days" },
  };
}

/** A minimal browser. It keeps cookies by path and does not follow redirects automatically. */
class Browser {
  private readonly cookies = new Map<string, { name: string; value: string; path: string }>();

  async go(url: string | URL, form?: Record<string, string>, language = "en"): Promise<Response> {
    const target = new URL(url);
    const sent = [...this.cookies].filter(
      ([, { path }]) => path === "/" || target.pathname === path || target.pathname.startsWith(`${path}/`),
    );
    const response = await fetch(target, {
      redirect: "manual",
      headers: {
        "accept-language": language,
        accept: "text/html",
        cookie: sent.map(([, { name, value }]) => `${name}=${value}`).join("; "),
      },
      ...(form ? { method: "POST", body: new URLSearchParams(form) } : {}),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(/;\s*/);
      const [name = "", value = ""] = pair.split("=");
      const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? "/";
      const gone = attributes.some(
        (one) => /^max-age=0$/i.test(one) || (/^expires=/i.test(one) && Date.parse(one.slice(8)) < Date.now()),
      );
      // A browser keeps a cookie per name and path.
      if (gone) this.cookies.delete(`${name} ${path}`);
      else this.cookies.set(`${name} ${path}`, { name, value, path });
    }
    return response;
  }

  /** Follows redirects within the hosted domain. Returns the final page, or the first URL outside the domain. */
  async follow(url: string | URL, form?: Record<string, string>): Promise<{ url: URL; response: Response }> {
    let at = new URL(url);
    let response = await this.go(at, form);
    for (let hops = 0; hops < 10; hops += 1) {
      const location = response.headers.get("location");
      if (!location) break;
      at = new URL(location, at);
      if (at.origin !== cognito.domainUrl) break;
      response = await this.go(at);
    }
    return { url: at, response };
  }
}

async function configuration(): Promise<openid.Configuration> {
  // The issuer URL contains the real Cognito host. Therefore the test reads the issuer's documents from the local port.
  const document = await (await fetch(`${cognito.idpUrl}/${POOL}/.well-known/openid-configuration`)).json();
  const config = new openid.Configuration(document as openid.ServerMetadata, CLIENT, undefined, openid.None());
  openid.allowInsecureRequests(config);
  return config;
}

interface Request {
  url: URL;
  verifier: string;
  state: string;
  nonce: string;
  config: openid.Configuration;
}

async function authorization(extra: Record<string, string> = {}): Promise<Request> {
  const config = await configuration();
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: "openid email",
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...extra,
  });
  return { url, verifier, state, nonce, config };
}

function csrfOf(page: string): string {
  return /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
}

async function signIn(
  request: Request,
  credentials = { username: "free@example.com", password: "correct horse" },
  browser = new Browser(),
): Promise<URL> {
  const login = await browser.follow(request.url);
  const page = await login.response.text();
  return (await browser.follow(login.url, { _csrf: csrfOf(page), ...credentials })).url;
}

async function tokens(browser = new Browser(), extra: Record<string, string> = {}) {
  const request = await authorization(extra);
  const callback = await signIn(request, undefined, browser);
  const answer = await openid.authorizationCodeGrant(request.config, callback, {
    pkceCodeVerifier: request.verifier,
    expectedState: request.state,
    expectedNonce: request.nonce,
    idTokenExpected: true,
  });
  return { ...answer, request };
}

function verifier(tokenUse: "id" | "access") {
  const fetcher = {
    fetch: async (uri: string) =>
      (await fetch(uri.replace("https://cognito-idp.ap-northeast-1.amazonaws.com", cognito.idpUrl))).arrayBuffer(),
  };
  return CognitoJwtVerifier.create(
    { userPoolId: POOL, clientId: CLIENT, tokenUse },
    { jwksCache: new SimpleJwksCache({ fetcher }) },
  );
}

async function token(form: Record<string, string>, headers: Record<string, string> = {}) {
  const response = await fetch(`${cognito.domainUrl}/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams(form),
    headers,
  });
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  };
}

async function exchange(request: Request, callback: URL, extra: Record<string, string> = {}) {
  return token({
    grant_type: "authorization_code",
    client_id: CLIENT,
    redirect_uri: CALLBACK,
    code: callback.searchParams.get("code") ?? "",
    code_verifier: request.verifier,
    ...extra,
  });
}

const summaries = () => {
  const lines: string[] = [];
  events.subscribe(({ summary }) => lines.push(summary))();
  return lines;
};

describe("sign-in with code and PKCE", () => {
  it("issues tokens that unmodified aws-jwt-verify accepts", async () => {
    const { id_token, access_token } = await tokens();
    await expect(verifier("id").verify(id_token ?? "")).resolves.toMatchObject({ email: "free@example.com" });
    await expect(verifier("access").verify(access_token)).resolves.toMatchObject({ client_id: CLIENT });
    await expect(verifier("access").verify(id_token ?? "")).rejects.toThrow(/Token use/);
  });

  it("issues an ID token with the same claims as Cognito", async () => {
    const { id_token = "", access_token, request, expires_in } = await tokens();
    const claims = decodeJwt(id_token);
    expect(claims).toEqual({
      sub: expect.stringMatching(UUID),
      "cognito:username": claims.sub,
      email: "free@example.com",
      email_verified: true,
      aud: CLIENT,
      token_use: "id",
      iss: `https://cognito-idp.ap-northeast-1.amazonaws.com/${POOL}`,
      nonce: request.nonce,
      at_hash: createHash("sha256").update(access_token).digest().subarray(0, 16).toString("base64url"),
      jti: expect.stringMatching(UUID),
      origin_jti: expect.stringMatching(UUID),
      event_id: expect.stringMatching(UUID),
      auth_time: expect.any(Number),
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 20 * 60,
    });
    expect(expires_in).toBe(15 * 60);
  });

  it("issues an access token with the same claims as Cognito, without aud", async () => {
    const { id_token = "", access_token } = await tokens();
    const claims = decodeJwt(access_token);
    expect(claims).toEqual({
      sub: decodeJwt(id_token).sub,
      username: claims.sub,
      client_id: CLIENT,
      token_use: "access",
      scope: "openid email",
      version: 2,
      iss: `https://cognito-idp.ap-northeast-1.amazonaws.com/${POOL}`,
      jti: expect.stringMatching(UUID),
      origin_jti: decodeJwt(id_token).origin_jti,
      event_id: decodeJwt(id_token).event_id,
      auth_time: expect.any(Number),
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 15 * 60,
    });
  });

  it("returns only Cognito's fields from the token endpoint", async () => {
    const request = await authorization();
    const { body } = await exchange(request, await signIn(request));
    expect(Object.keys(body).sort()).toEqual(["access_token", "expires_in", "id_token", "refresh_token", "token_type"]);
  });

  it("issues tokens with the seeded sub of a customer", async () => {
    const request = await authorization();
    const callback = await signIn(request, { username: "paid@example.com", password: "battery staple" });
    const { body } = await exchange(request, callback);
    expect(decodeJwt(String(body.id_token)).sub).toBe("a7c41a68-50d1-7051-9c1b-2f1c8a1d0001");
  });

  it.each([
    ["signs in a customer", { caseSensitive: false }, CALLBACK],
    ["does not know a customer", { caseSensitive: true }, "/login"],
    // Cognito's API is case-sensitive by default.
    ["does not know a customer", undefined, "/login"],
  ])(
    "%s whose e-mail address differs in upper and lower case, with usernameConfiguration %j",
    async (_, usernameConfiguration, at) => {
      put("aws:cognito/userPool:UserPool", POOL, { usernameAttributes: ["email"], usernameConfiguration });
      const { href } = await signIn(await authorization(), { username: "Free@Example.com", password: "correct horse" });
      expect(href).toContain(at);
    },
  );

  it("signs in a seeded customer with one click", async () => {
    const request = await authorization();
    const browser = new Browser();
    const login = await browser.follow(request.url);
    const page = await login.response.text();
    const customer = /name="customer" value="([^"]+)">paid/.exec(page)?.[1] ?? "";
    const { url } = await browser.follow(login.url, { _csrf: csrfOf(page), customer });
    expect(decodeJwt(String((await exchange(request, url)).body.id_token)).email).toBe("paid@example.com");
  });

  it("immediately redirects a signed-in customer with a new code", async () => {
    const browser = new Browser();
    await tokens(browser);
    const request = await authorization();
    const { url } = await browser.follow(request.url);
    expect(`${url.origin}${url.pathname}`).toBe(CALLBACK);
    expect((await exchange(request, url)).status).toBe(200);
  });

  it("lets another customer sign in during an open session when prompt is login", async () => {
    const browser = new Browser();
    await tokens(browser);
    const request = await authorization({ prompt: "login" });
    const login = await browser.follow(request.url);
    const page = await login.response.text();
    const asked = await browser.follow(login.url, {
      _csrf: csrfOf(page),
      username: "paid@example.com",
      password: "battery staple",
    });
    const form = await asked.response.text();
    const confirm = /action="([^"]+)"/.exec(form)?.[1] ?? "";
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(form)?.[1] ?? "";
    const { url } = await browser.follow(confirm, { xsrf, logout: "yes" });
    expect(decodeJwt(String((await exchange(request, url)).body.id_token)).email).toBe("paid@example.com");
  });

  it.each(["select_account", "consent", "select_account consent"])(
    "ignores prompt=%s, which is only for external identity providers, and redirects a signed-in customer at once",
    async (prompt) => {
      const browser = new Browser();
      await tokens(browser);
      const request = await authorization({ prompt });
      const { url } = await browser.follow(request.url);
      expect((await exchange(request, url)).status).toBe(200);
    },
  );

  it("asks for the password despite an open session when login is one of several prompts", async () => {
    const browser = new Browser();
    await tokens(browser);
    const { url } = await browser.follow((await authorization({ prompt: "consent login" })).url);
    expect(url.pathname).toBe("/login");
  });

  it("redirects to the app without a sign-in page when the request has prompt=none", async () => {
    const browser = new Browser();
    const signedOut = await browser.follow((await authorization({ prompt: "none" })).url);
    expect(`${signedOut.url.origin}${signedOut.url.pathname}`).toBe(CALLBACK);
    expect(signedOut.url.searchParams.get("error")).toBe("login_required");
    await tokens(browser);
    const signedIn = await browser.follow((await authorization({ prompt: "none" })).url);
    expect(signedIn.url.searchParams.get("code")).toBeTruthy();
  });

  it("redirects to the app with only code and state", async () => {
    const request = await authorization();
    const callback = await signIn(request);
    expect([...callback.searchParams.keys()].sort()).toEqual(["code", "state"]);
    expect(callback.searchParams.get("state")).toBe(request.state);
  });

  it("grants all scopes of the client when the request has no scope", async () => {
    const request = await authorization();
    request.url.searchParams.delete("scope");
    request.url.searchParams.delete("nonce");
    const { body } = await exchange(request, await signIn(request));
    expect(decodeJwt(String(body.access_token)).scope).toBe("openid email profile");
  });

  it("emits events that contain no tokens", async () => {
    const { access_token } = await tokens();
    expect(summaries()).toEqual(["page /login", "code → tokens for free"]);
    expect(summaries().join()).not.toContain(access_token);
  });
});

describe("authorize endpoint", () => {
  it.each([
    ["an unknown client", { client_id: "nobody" }, "Client nobody does not exist."],
    ["an unlisted callback URL", { redirect_uri: "http://localhost:4100/callback/" }, "redirect_mismatch"],
    ["a callback URL with an added query", { redirect_uri: `${CALLBACK}?a=1` }, "redirect_mismatch"],
  ])("shows an error page for %s", async (_, change, text) => {
    const { url } = await authorization();
    for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
    for (const accept of ["text/html", "*/*"]) {
      const response = await fetch(url, { headers: { accept } });
      expect([response.status, response.headers.get("content-type")?.toLowerCase()]).toEqual([400, HTML]);
      const page = await response.text();
      expect(page).toMatch(/^<!doctype html>/);
      expect(page).toContain(text);
    }
  });

  it.each([
    ["a public client without PKCE", { code_challenge: null, code_challenge_method: null }, "invalid_request"],
    ["the PKCE method plain", { code_challenge_method: "plain" }, "invalid_request"],
    ["a scope that is not allowed", { scope: "openid phone" }, "invalid_scope"],
    ["an unknown scope", { scope: "openid shoes" }, "invalid_scope"],
    ["the implicit flow", { response_type: "token" }, "unsupported_response_type"],
  ])("redirects to the app with an error for %s", async (_, change, error) => {
    const { url, state } = await authorization();
    for (const [name, value] of Object.entries(change)) {
      if (value === null) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    const response = await new Browser().go(url);
    const location = new URL(response.headers.get("location") ?? "", cognito.domainUrl);
    expect(response.status).toBe(302);
    expect(`${location.origin}${location.pathname}`).toBe(CALLBACK);
    const fields = location.searchParams;
    expect(fields.get("error")).toBe(error);
    expect(fields.get("state")).toBe(state);
    expect(fields.has("iss")).toBe(false);
  });

  it("escapes HTML in its error page", async () => {
    const response = await new Browser().go(
      `${cognito.domainUrl}/oauth2/authorize?client_id=${encodeURIComponent("<script>alert(1)</script>")}`,
    );
    expect(await response.text()).not.toContain("<script>alert");
  });
});

describe("token endpoint", () => {
  it("rejects a wrong or missing code verifier", async () => {
    const request = await authorization();
    const callback = await signIn(request);
    const wrong = await exchange(request, callback, { code_verifier: openid.randomPKCECodeVerifier() });
    expect(wrong).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(Object.keys(wrong.body)).toEqual(["error"]);
    expect(await exchange(request, callback, { code_verifier: "" })).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
  });

  it("accepts a code only once", async () => {
    const request = await authorization();
    const callback = await signIn(request);
    expect((await exchange(request, callback)).status).toBe(200);
    expect(await exchange(request, callback)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("rejects a callback URL that differs from the URL in the authorize request", async () => {
    put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, {
      ...clientProperties(),
      callbackUrls: [CALLBACK, `${CALLBACK}2`],
    });
    const request = await authorization();
    const callback = await signIn(request);
    const answer = await exchange(request, callback, { redirect_uri: `${CALLBACK}2` });
    expect(answer).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("rejects an unknown client and an unsupported grant", async () => {
    expect(await token({ grant_type: "authorization_code", client_id: "nobody", code: "x" })).toMatchObject({
      status: 400,
      body: { error: "invalid_client" },
    });
    expect(await token({ grant_type: "password", client_id: CLIENT })).toMatchObject({
      status: 400,
      body: { error: "unsupported_grant_type" },
    });
  });

  it("requires the client secret but no PKCE for a confidential client", async () => {
    put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, {
      ...clientProperties(),
      generateSecret: true,
      clientSecret: "s3cret-of-the-client",
    });
    const request = await authorization();
    for (const name of ["code_challenge", "code_challenge_method"]) request.url.searchParams.delete(name);
    const code = (await signIn(request)).searchParams.get("code") ?? "";
    const form = { grant_type: "authorization_code", client_id: CLIENT, redirect_uri: CALLBACK, code };
    const basic = (secret: string) => ({ authorization: `Basic ${btoa(`${CLIENT}:${secret}`)}` });
    expect(await token(form)).toMatchObject({ status: 400, body: { error: "invalid_client" } });
    expect(await token(form, basic("guess"))).toMatchObject({ status: 400, body: { error: "invalid_client" } });
    expect((await token(form, basic("s3cret-of-the-client"))).status).toBe(200);
  });

  it("sends CORS headers for any origin, including on preflights and errors", async () => {
    const preflight = await fetch(`${cognito.domainUrl}/oauth2/token`, {
      method: "OPTIONS",
      headers: { origin: "http://localhost:4100", "access-control-request-method": "POST" },
    });
    expect(preflight.ok).toBe(true);
    expect(preflight.headers.get("access-control-allow-origin")).toBeTruthy();
    for (const client_id of [CLIENT, "nobody"]) {
      const { headers } = await token(
        { grant_type: "refresh_token", client_id, refresh_token: "x" },
        { origin: "http://localhost:4100" },
      );
      expect(headers.get("access-control-allow-origin")).toBeTruthy();
    }
  });
});

describe("refresh token", () => {
  it("returns new ID and access tokens but no new refresh token", async () => {
    const first = await tokens();
    const next = await openid.refreshTokenGrant(first.request.config, first.refresh_token ?? "");
    expect(next.refresh_token).toBeUndefined();
    expect(decodeJwt(next.access_token).jti).not.toBe(decodeJwt(first.access_token).jti);
    expect(decodeJwt(next.access_token).origin_jti).toBe(decodeJwt(first.access_token).origin_jti);
    expect(decodeJwt(next.id_token ?? "").auth_time).toBe(decodeJwt(first.id_token ?? "").auth_time);
    await expect(verifier("id").verify(next.id_token ?? "")).resolves.toBeTruthy();
    expect(summaries().at(-1)).toBe("refresh token → tokens for free");
  });

  it("is rejected after its revocation, and other sign-ins stay valid", async () => {
    const browser = new Browser();
    const first = await tokens(browser);
    const request = await authorization();
    const { body: second } = await exchange(request, (await browser.follow(request.url)).url);
    await openid.tokenRevocation(first.request.config, first.refresh_token ?? "");
    await expect(openid.refreshTokenGrant(first.request.config, first.refresh_token ?? "")).rejects.toMatchObject({
      error: "invalid_grant",
    });
    await expect(openid.refreshTokenGrant(first.request.config, String(second.refresh_token))).resolves.toBeTruthy();
  });

  it("gets an empty JSON answer to its revocation, because clients check the content type", async () => {
    const { refresh_token = "" } = await tokens();
    const body = new URLSearchParams({ client_id: CLIENT, token: refresh_token });
    const response = await fetch(`${cognito.domainUrl}/oauth2/revoke`, { method: "POST", body });
    expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
      200,
      "application/json; charset=utf-8",
      "",
    ]);
  });

  it("cannot be revoked when token revocation is off for the client", async () => {
    const { refresh_token = "", request } = await tokens();
    put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, { ...clientProperties(), enableTokenRevocation: false });
    await expect(openid.tokenRevocation(request.config, refresh_token)).rejects.toMatchObject({
      error: "invalid_request",
    });
    await expect(openid.refreshTokenGrant(request.config, refresh_token)).resolves.toBeTruthy();
  });
});

describe("refresh token with rotation", () => {
  const GRACE_SECONDS = 60;
  const refresh = async (config: openid.Configuration, refreshToken: string | undefined) =>
    (await openid.refreshTokenGrant(config, refreshToken ?? "")).refresh_token;

  beforeEach(() => {
    put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, {
      ...clientProperties(),
      refreshTokenRotation: { feature: "ENABLED", retryGracePeriodSeconds: GRACE_SECONDS },
    });
    vi.useFakeTimers({ toFake: ["Date"] });
  });
  afterEach(() => vi.useRealTimers());

  it("is replaced at each refresh, and stays valid for a grace period", async () => {
    const { request, refresh_token: first } = await tokens();
    const second = await refresh(request.config, first);
    expect(second).toBeTruthy();
    expect(second).not.toBe(first);
    vi.setSystemTime(Date.now() + GRACE_SECONDS * 1000 - 2_000);
    expect(await refresh(request.config, first)).toBeTruthy();
    // A second use does not extend the grace period.
    vi.setSystemTime(Date.now() + 3_000);
    await expect(refresh(request.config, first)).rejects.toMatchObject({ error: "invalid_grant" });
    expect(await refresh(request.config, second)).toBeTruthy();
  });

  it("becomes invalid at once when there is no grace period", async () => {
    put("aws:cognito/userPoolClient:UserPoolClient", CLIENT, {
      ...clientProperties(),
      refreshTokenRotation: { feature: "ENABLED" },
    });
    const { request, refresh_token: first } = await tokens();
    const second = await refresh(request.config, first);
    await expect(refresh(request.config, first)).rejects.toMatchObject({ error: "invalid_grant" });
    expect(await refresh(request.config, second)).toBeTruthy();
  });

  it("expires when the first refresh token of the sign-in would have expired", async () => {
    let { request, refresh_token: last } = await tokens();
    const day = 24 * 3_600_000;
    vi.setSystemTime(Date.now() + 1.5 * day);
    last = await refresh(request.config, last);
    vi.setSystemTime(Date.now() + 0.6 * day);
    await expect(refresh(request.config, last)).rejects.toMatchObject({ error: "invalid_grant" });
  });

  it("ends the whole sign-in when it is revoked", async () => {
    const { request, refresh_token: first } = await tokens();
    const second = await refresh(request.config, first);
    await openid.tokenRevocation(request.config, second ?? "");
    for (const token of [first, second]) {
      await expect(refresh(request.config, token)).rejects.toMatchObject({ error: "invalid_grant" });
    }
  });
});

describe("tokens", () => {
  it.each([
    ["openid", "free@example.com"],
    ["openid profile", undefined],
    ["openid profile email", "free@example.com"],
  ])("contain the expected e-mail claims with the scopes %s", async (scope, email) => {
    const { access_token, id_token = "", request } = await tokens(new Browser(), { scope });
    const claims = decodeJwt(id_token);
    expect([claims.email, claims.email_verified]).toEqual([email, email && true]);
    const info = await openid.fetchUserInfo(request.config, access_token, claims.sub ?? "");
    expect([info.email, info.email_verified]).toEqual([email, email && "true"]);
  });
});

describe("userInfo", () => {
  it("returns the same attributes as Cognito for an access token", async () => {
    const { access_token, id_token = "", request } = await tokens();
    const sub = decodeJwt(id_token).sub ?? "";
    expect(await openid.fetchUserInfo(request.config, access_token, sub)).toEqual({
      sub,
      username: sub,
      email: "free@example.com",
      email_verified: "true",
    });
  });

  it("rejects an ID token, a revoked token and a malformed token", async () => {
    const { access_token, id_token = "", refresh_token = "", request } = await tokens();
    const ask = async (bearer: string) =>
      (await fetch(`${cognito.domainUrl}/oauth2/userInfo`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    expect(await ask(id_token)).toBe(401);
    expect(await ask("nonsense")).toBe(401);
    expect(await ask(access_token)).toBe(200);
    await openid.tokenRevocation(request.config, refresh_token);
    expect(await ask(access_token)).toBe(401);
  });
});

describe("sign-in page", () => {
  it("reports a wrong password in the page's language and keeps the e-mail address", async () => {
    for (const [lang, text] of [
      ["en", "Incorrect username or password."],
      ["ja", "ユーザー名またはパスワードが正しくありません。"],
    ] as const) {
      const browser = new Browser();
      const login = await browser.follow((await authorization({ lang })).url);
      const again = await browser.go(login.url, {
        _csrf: csrfOf(await login.response.text()),
        username: 'a"><b>@example.com',
        password: "nope",
      });
      const page = await again.text();
      expect(page).toContain(text);
      expect(page).toContain("a&quot;&gt;&lt;b&gt;@example.com");
    }
  });

  it("rejects another customer's password", async () => {
    const request = await authorization();
    const at = await signIn(request, { username: "free@example.com", password: "battery staple" });
    expect(at.pathname).toBe("/login");
    expect((await new Browser().follow((await authorization()).url)).url.pathname).toBe("/login");
  });

  it("uses the browser's language", async () => {
    const browser = new Browser();
    const login = await browser.follow((await authorization()).url);
    expect(await (await browser.go(login.url, undefined, "ja,en;q=0.8")).text()).toContain("サインイン");
    expect(await (await browser.go(login.url, undefined, "en-GB,ja;q=0.5")).text()).toContain("Sign in");
  });

  it("rejects a form without the CSRF token", async () => {
    const browser = new Browser();
    const login = await browser.follow((await authorization()).url);
    const forged = await browser.go(login.url, {
      _csrf: "guess",
      username: "free@example.com",
      password: "correct horse",
    });
    expect(forged.status).toBe(403);
    expect(forged.headers.get("location")).toBeNull();
  });

  it.each([CLIENT, "second"])(
    "works in two tabs at once when the newer tab belongs to the client %s",
    async (newer) => {
      put("aws:cognito/userPoolClient:UserPoolClient", "second", clientProperties());
      put("aws:cognito/managedLoginBranding:ManagedLoginBranding", "b2", { userPoolId: POOL, clientId: "second" });
      const browser = new Browser();
      const requests = [await authorization(), await authorization({ client_id: newer })];
      const tabs = [];
      for (const request of requests) {
        const { url, response } = await browser.follow(request.url);
        tabs.push({ request, url, csrf: csrfOf(await response.text()) });
      }
      for (const { request, url, csrf } of tabs) {
        const credentials = { username: "free@example.com", password: "correct horse" };
        const { url: callback } = await browser.follow(url, { _csrf: csrf, ...credentials });
        expect(callback.searchParams.get("state")).toBe(request.state);
        const client_id = request.url.searchParams.get("client_id") ?? "";
        expect((await exchange(request, callback, { client_id })).status).toBe(200);
      }
    },
  );

  it("continues the same sign-in after a reload, although a newer tab is open", async () => {
    const browser = new Browser();
    const request = await authorization();
    const older = await browser.follow(request.url);
    await browser.follow((await authorization()).url);
    const reloaded = await browser.follow(older.url);
    const form = {
      _csrf: csrfOf(await reloaded.response.text()),
      username: "free@example.com",
      password: "correct horse",
    };
    const { url } = await browser.follow(reloaded.url, form);
    expect(url.searchParams.get("state")).toBe(request.state);
  });

  it("rejects a form that was loaded in another browser, and signs nobody in", async () => {
    const attacker = await new Browser().follow((await authorization()).url);
    const form = {
      _csrf: csrfOf(await attacker.response.text()),
      username: "free@example.com",
      password: "correct horse",
    };
    const victim = new Browser();
    const { url, response } = await victim.follow(attacker.url, form);
    expect([url.origin, response.status]).toEqual([cognito.domainUrl, 400]);
    expect((await victim.follow((await authorization()).url)).url.pathname).toBe("/login");
  });

  it("cannot be shown in a frame, like every page of the hosted domain", async () => {
    const mismatch = await authorization();
    mismatch.url.searchParams.set("redirect_uri", "http://localhost:4100/other");
    const login = await authorization();
    const pages = [
      mismatch.url.href,
      login.url.href,
      `${cognito.domainUrl}/login?client_id=nobody`,
      `${cognito.domainUrl}/x`,
    ];
    for (const page of pages) {
      const { headers } = (await new Browser().follow(page)).response;
      expect([headers.get("x-frame-options"), headers.get("content-security-policy")]).toEqual([
        "DENY",
        "frame-ancestors 'none'",
      ]);
    }
  });

  it("starts a sign-in when it is opened directly", async () => {
    const request = await authorization();
    request.url.pathname = "/login";
    expect((await exchange(request, await signIn(request))).status).toBe(200);
  });

  it.each(["/evil.example/x", "\\\\evil.example", "../oauth2/authorize", "unknown", "constructor"])(
    "opens for the unknown page local_page=%s, which prevents a redirect to another site",
    async (page) => {
      const { url } = await authorization({ local_page: page });
      const location = (await new Browser().go(url)).headers.get("location") ?? "";
      const { origin, pathname } = new URL(location, cognito.domainUrl);
      expect(`${origin}${pathname}`).toBe(`${cognito.domainUrl}/login`);
    },
  );

  it("is unavailable when managed login has no branding", async () => {
    account.delete("aws:cognito/managedLoginBranding:ManagedLoginBranding", "branding");
    const { response } = await new Browser().follow((await authorization()).url);
    expect(await response.text()).toContain("Login pages unavailable");
    put("aws:cognito/userPoolDomain:UserPoolDomain", "snack-misaki", {
      userPoolId: POOL,
      domain: "snack-misaki",
      managedLoginVersion: 1,
    });
    const classic = await new Browser().follow((await authorization()).url);
    expect(await classic.response.text()).toContain("Sign in");
  });

  it("returns 404 when the pool has no domain", async () => {
    const { access_token } = await tokens();
    account.delete("aws:cognito/userPoolDomain:UserPoolDomain", "snack-misaki");
    expect((await new Browser().go((await authorization()).url)).status).toBe(404);
    expect((await token({ grant_type: "refresh_token", client_id: CLIENT, refresh_token: "x" })).status).toBe(400);
    const info = await fetch(`${cognito.domainUrl}/oauth2/userInfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    expect(info.status).toBe(401);
  });
});

describe("logout", () => {
  const logout = (parameters: Record<string, string>) =>
    `${cognito.domainUrl}/logout?${new URLSearchParams({ client_id: CLIENT, ...parameters })}`;

  it("ends the session, keeps the refresh token and redirects to the logout URL", async () => {
    const browser = new Browser();
    const { request, refresh_token = "" } = await tokens(browser);
    const response = await browser.go(logout({ logout_uri: GOODBYE }));
    expect(response.headers.get("location")).toBe(GOODBYE);
    expect(response.headers.getSetCookie()).toContain(`cognito.${POOL}=; path=/; max-age=0`);
    const { url } = await browser.follow((await authorization()).url);
    expect(url.pathname).toBe("/login");
    await expect(openid.refreshTokenGrant(request.config, refresh_token)).resolves.toBeTruthy();
  });

  it("makes a copy of the session cookies invalid", async () => {
    const browser = new Browser();
    await tokens(browser);
    const copy: Browser = Object.assign(new Browser(), { cookies: new Map(Reflect.get(browser, "cookies")) });
    await browser.go(logout({ logout_uri: GOODBYE }));
    expect((await copy.follow((await authorization()).url)).url.pathname).toBe("/login");
  });

  it("rejects an unlisted or missing logout URL", async () => {
    expect((await new Browser().go(logout({ logout_uri: "https://evil.example/" }))).status).toBe(400);
    expect((await new Browser().go(logout({ logout_uri: CALLBACK }))).status).toBe(400);
    expect((await new Browser().go(logout({ redirect_uri: GOODBYE, response_type: "code" }))).status).toBe(400);
    expect((await new Browser().go(logout({}))).status).toBe(400);
  });

  it("returns an error that asks for logout_uri when an OpenID Connect client sends post_logout_redirect_uri", async () => {
    const { request, id_token } = await tokens();
    const url = openid.buildEndSessionUrl(request.config, {
      post_logout_redirect_uri: GOODBYE,
      id_token_hint: id_token ?? "",
    });
    const response = await new Browser().go(url);
    expect([response.status, response.headers.get("content-type")]).toEqual([400, "text/html; charset=UTF-8"]);
    expect(await response.text()).toContain("send client_id and logout_uri");
    const withLogoutUri = openid.buildEndSessionUrl(request.config, { client_id: CLIENT, logout_uri: GOODBYE });
    expect((await new Browser().go(withLogoutUri)).headers.get("location")).toBe(GOODBYE);
  });

  it("redirects to the sign-in page when redirect_uri is given", async () => {
    const { url } = await authorization();
    const browser = new Browser();
    await tokens(browser);
    url.pathname = "/logout";
    const { url: at, response } = await browser.follow(url);
    expect(at.pathname).toBe("/login");
    expect(await response.text()).toContain("Sign in");
  });
});

describe("issuer host", () => {
  it("publishes two RS256 keys and signs tokens with the first key", async () => {
    const response = await fetch(`${cognito.idpUrl}/${POOL}/.well-known/jwks.json`);
    const jwks = (await response.json()) as { keys: Record<string, string>[] };
    expect(jwks.keys).toHaveLength(2);
    for (const key of jwks.keys) expect(Object.keys(key).sort()).toEqual(["alg", "e", "kid", "kty", "n", "use"]);
    const { access_token, id_token = "" } = await tokens();
    expect(decodeProtectedHeader(access_token)).toEqual({ alg: "RS256", kid: jwks.keys[0]?.kid });
    expect(decodeProtectedHeader(id_token)).toEqual({ alg: "RS256", kid: jwks.keys[0]?.kid });
  });

  it("returns 404 for an unknown pool", async () => {
    const response = await fetch(`${cognito.idpUrl}/ap-northeast-1_Nobody123/.well-known/jwks.json`);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ message: "User pool ap-northeast-1_Nobody123 does not exist." });
  });

  it("uses separate keys, clients and codes for each pool", async () => {
    const other = { pool: "ap-northeast-1_Other34CD", client: "7otherclientotherclient7ab" };
    put("aws:cognito/userPool:UserPool", other.pool, {});
    put("aws:cognito/userPoolDomain:UserPoolDomain", "other", {
      userPoolId: other.pool,
      domain: "other",
      managedLoginVersion: 1,
    });
    put("aws:cognito/userPoolClient:UserPoolClient", other.client, { ...clientProperties(), userPoolId: other.pool });
    const browser = new Browser();
    const { id_token = "" } = await tokens(browser);
    const request = await authorization({ client_id: other.client });
    const login = await browser.follow(request.url);
    expect(login.url.pathname).toBe("/login");
    const callback = await signIn(request, undefined, browser);
    expect((await exchange(request, callback)).body).toEqual({ error: "invalid_grant" });
    const { body } = await exchange(request, callback, { client_id: other.client });
    const claims = decodeJwt(String(body.id_token));
    expect(claims.iss).toBe(`https://cognito-idp.ap-northeast-1.amazonaws.com/${other.pool}`);
    expect(claims.sub).toBe(decodeJwt(id_token).sub);
    expect(decodeProtectedHeader(String(body.id_token)).kid).not.toBe(decodeProtectedHeader(id_token).kid);
  });
});

describe("Cognito double after a restart", () => {
  it("keeps its keys, refresh tokens and sessions", async () => {
    const browser = new Browser();
    const { id_token = "", refresh_token = "", access_token } = await tokens(browser);
    const revoked = await tokens();
    await openid.tokenRevocation(revoked.request.config, revoked.refresh_token ?? "");
    await restart();
    await expect(verifier("id").verify(id_token)).resolves.toBeTruthy();
    const config = await configuration();
    await expect(openid.refreshTokenGrant(config, refresh_token)).resolves.toBeTruthy();
    await expect(openid.refreshTokenGrant(config, revoked.refresh_token ?? "")).rejects.toMatchObject({
      error: "invalid_grant",
    });
    await expect(openid.fetchUserInfo(config, access_token, decodeJwt(id_token).sub ?? "")).resolves.toBeTruthy();
    expect((await browser.follow((await authorization()).url)).url.origin).toBe(new URL(CALLBACK).origin);
  });
});

describe("Cognito double", () => {
  it("reports a client with an invalid property and still serves other clients", async () => {
    put("aws:cognito/userPoolClient:UserPoolClient", "broken", { ...clientProperties(), callbackUrls: "everywhere" });
    const response = await new Browser().go(`${cognito.domainUrl}/oauth2/authorize?client_id=broken`);
    expect(response.status).toBe(500);
    expect(summaries().at(-1)).toContain("callbackUrls");
    expect((await tokens()).access_token).toBeTruthy();
  });

  it("opens no port when one of its two ports is in use", async () => {
    const [domain, idp] = [cognito.domainUrl, cognito.idpUrl].map((url) => Number(new URL(url).port));
    const again = (ports: { domain: number; idp: number }) =>
      startCognito({ account, dir: join(dir, "again"), ports, customers, events });
    const spare = await again({ domain: 0, idp: 0 });
    const free = Number(new URL(spare.domainUrl).port);
    await spare.close();
    await expect(again({ domain: free, idp: idp ?? 0 })).rejects.toThrow(/in use/);
    await (await again({ domain: free, idp: 0 })).close();
    await expect(again({ domain: domain ?? 0, idp: 0 })).rejects.toThrow(/in use/);
    await cognito.close();
    await expect(fetch(cognito.domainUrl)).rejects.toThrow();
    await expect(fetch(cognito.idpUrl)).rejects.toThrow();
    const other = await again({ domain: domain ?? 0, idp: idp ?? 0 });
    await other.close();
  });
});

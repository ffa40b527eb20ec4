import * as openid from "openid-client";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createSignIn } from "../../client";
import { CutConnection } from "../../local/support/http";
import { type HostedDomainSettings, ISSUER, memoryStorage, startHostedDomain } from "./fakes";

const settings = { clientId: "client1", redirectUri: "http://localhost:4100/callback" };
const domains: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  await Promise.all(domains.splice(0).map((domain) => domain.close()));
});

async function hosted(change: Partial<HostedDomainSettings> = {}) {
  const domain = await startHostedDomain({ ...settings, ...change });
  domains.push(domain);
  const storage = memoryStorage();
  const options = {
    ...settings,
    url: domain.url,
    issuer: ISSUER,
    logoutUri: "http://localhost:4100/",
    scopes: ["openid", "email"],
    storage,
  };
  return { domain, storage, options, signIn: createSignIn(options) };
}

describe("Sign-in", () => {
  it("starts at the URL of the hosted page with PKCE and the app client's settings", async () => {
    const { signIn, domain } = await hosted();
    const url = new URL(await signIn.startSignIn());
    expect(url.origin + url.pathname).toBe(`${domain.url}/oauth2/authorize`);
    const query = Object.fromEntries(url.searchParams);
    expect(query).toMatchObject({
      response_type: "code",
      client_id: "client1",
      redirect_uri: settings.redirectUri,
      scope: "openid email",
      code_challenge_method: "S256",
    });
    expect(query.state).toMatch(/^[\w-]{43}$/);
    expect(query.code_challenge).toMatch(/^[\w-]{43}$/);
  });

  it("exchanges the code for tokens, and still returns the customer after a reload", async () => {
    const { signIn, domain, options } = await hosted();
    const customer = await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    expect(customer).toEqual({ sub: "user-1", email: "みさき@example.com" });
    const reloaded = createSignIn(options);
    expect(reloaded.customer()).toEqual(customer);
    expect(await reloaded.getIdToken()).toBe(await signIn.getIdToken());
    expect(domain.calls).toHaveLength(1);
  });

  it("rejects a callback that this browser did not request", async () => {
    const { signIn, domain } = await hosted();
    const foreignCallback = `${settings.redirectUri}?code=code-1&state=x`;
    await expect(signIn.finishSignIn(foreignCallback)).rejects.toMatchObject({ code: "unauthorized" });
    const callback = domain.signInAt(await signIn.startSignIn());
    await expect(signIn.finishSignIn(foreignCallback)).rejects.toMatchObject({ code: "unauthorized" });
    expect(domain.calls).toEqual([]);
    expect(await signIn.finishSignIn(callback)).toBeDefined();
  });

  it("throws the hosted page's error when the callback has no code", async () => {
    const { signIn } = await hosted();
    const state = new URL(await signIn.startSignIn()).searchParams.get("state") ?? "";
    const query = new URLSearchParams({ error: "access_denied", error_description: "User cancelled", state });
    await expect(signIn.finishSignIn(`${settings.redirectUri}?${query}`)).rejects.toThrow("User cancelled");
  });

  it("throws unauthorized when Cognito rejects the code", async () => {
    const { signIn } = await hosted();
    const state = new URL(await signIn.startSignIn()).searchParams.get("state") ?? "";
    const callback = `${settings.redirectUri}?${new URLSearchParams({ code: "forged", state })}`;
    await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ code: "unauthorized", retryable: false });
    expect(signIn.customer()).toBeUndefined();
  });
});

describe("The ID token", () => {
  // A token with a lifetime of 30 s is always in its final minute, so the client refreshes it.
  async function signedIn() {
    const all = await hosted({ expiresIn: 30 });
    await all.signIn.finishSignIn(all.domain.signInAt(await all.signIn.startSignIn()));
    return all;
  }

  it("is refreshed in its final minute, and only once for concurrent callers", async () => {
    const { signIn, domain } = await signedIn();
    const [first, second] = await Promise.all([signIn.getIdToken(), signIn.getIdToken()]);
    expect(first).toBe(second);
    expect(domain.calls.map((call) => call.grant_type)).toEqual(["authorization_code", "refresh_token"]);
    await signIn.getIdToken();
    expect(domain.calls.at(-1)).toMatchObject({ grant_type: "refresh_token", refresh_token: "refresh-1" });
  });

  it("is undefined after the refresh token has been revoked", async () => {
    const { signIn, domain } = await signedIn();
    domain.refreshTokens.clear();
    expect(await signIn.getIdToken()).toBeUndefined();
    expect(signIn.customer()).toBeUndefined();
  });

  it("is still used in its final minute when Cognito cannot be reached", async () => {
    const { signIn, domain } = await signedIn();
    const before = signIn.getIdToken();
    await before;
    await domain.close();
    expect(await signIn.getIdToken()).toBe(await before);
    expect(signIn.customer()).toBeDefined();
  });

  it.each([403, 404, 408, 429, 500, 503])("stays stored when a refresh is answered with %d", async (status) => {
    const { signIn, domain } = await hosted({ expiresIn: 1 });
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    vi.setSystemTime(Date.now() + 2_000);
    domain.state.down = status;
    await expect(signIn.getIdToken()).rejects.toMatchObject({ code: "unavailable", retryable: true });
    expect(signIn.customer()).toBeDefined();
    delete domain.state.down;
    expect(await signIn.getIdToken()).toBeDefined();
  });

  it("expires after the time between its iat and exp, even when the access token is valid for longer", async () => {
    const { signIn, domain } = await hosted({ expiresIn: 300 });
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    vi.setSystemTime(Date.now() + 241_000);
    await signIn.getIdToken();
    expect(domain.calls.at(-1)).toMatchObject({ grant_type: "refresh_token" });
  });

  it("has the same lifetime when the device's clock is wrong by some hours", async () => {
    const { signIn, domain } = await hosted();
    const iat = Math.floor(Date.now() / 1000) - 9 * 3600;
    domain.state.claims = { iat, exp: iat + 3600 };
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    await signIn.getIdToken();
    expect(domain.calls).toHaveLength(1);
  });

  it("is replaced after the API rejected it, even when the device's clock is wrong", async () => {
    const { signIn, domain } = await hosted();
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    const rejected = await signIn.getIdToken();
    const next = await signIn.getIdToken(rejected);
    expect(next).not.toBe(rejected);
    // A second caller with the same rejected token gets the new token without another refresh.
    expect(await signIn.getIdToken(rejected)).toBe(next);
    expect(domain.calls).toHaveLength(2);
  });

  it.each([
    ["nonce", { nonce: "other" }],
    ["nonce", { nonce: undefined }],
    ["iss", { iss: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Other" }],
    ["aud", { aud: "client2" }],
    ["exp", { exp: Math.floor(Date.now() / 1000) - 3 * 24 * 3600, iat: Math.floor(Date.now() / 1000) - 4 * 24 * 3600 }],
    ["exp", { exp: undefined }],
    ["exp", { exp: 1, iat: 2 }],
    ["sub", { sub: undefined }],
  ])("is rejected when its %s is wrong, and its refresh token is revoked: %j", async (claim, claims) => {
    const { signIn, domain } = await hosted();
    domain.state.claims = claims;
    const finished = signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    await expect(finished).rejects.toMatchObject({ code: "unauthorized", message: expect.stringContaining(claim) });
    expect(signIn.customer()).toBeUndefined();
    expect([...domain.refreshTokens]).toEqual([]);
  });

  it.each([{ iss: "https://other.example" }, { aud: "client2" }, { sub: "user-2" }])(
    "is not replaced by a refreshed token of another user pool, app client or customer: %j",
    async (claims) => {
      const { signIn, domain, storage } = await signedIn();
      const before = storage.getItem("snack-misaki.tokens.client1");
      domain.state.claims = claims;
      await signIn.getIdToken();
      expect(domain.calls.at(-1)).toMatchObject({ grant_type: "refresh_token" });
      expect(storage.getItem("snack-misaki.tokens.client1")).toBe(before);
    },
  );

  it("is replaced by a refreshed token with the customer's new e-mail address", async () => {
    const { signIn, domain } = await signedIn();
    domain.state.claims = { email: "new@example.com" };
    await signIn.getIdToken();
    expect(signIn.customer()).toEqual({ sub: "user-1", email: "new@example.com" });
  });
});

describe("Two tabs that share a sign-in with refresh token rotation", () => {
  /** Opens two signed-in tabs with one storage. Every ID token is in its final minute, so each call refreshes. */
  async function twoTabs() {
    const { domain, options, storage, signIn: first } = await hosted({ expiresIn: 30, rotation: true });
    await first.finishSignIn(domain.signInAt(await first.startSignIn()));
    const stored = () =>
      JSON.parse(storage.getItem("snack-misaki.tokens.client1") ?? "null") as { refreshToken: string } | null;
    return { domain, first, second: createSignIn(options), stored };
  }

  it("stay signed in when each tab refreshes after the grace period of the other tab's refresh", async () => {
    const { domain, first, second, stored } = await twoTabs();
    for (const tab of [first, second, second, first, second]) {
      const before = stored()?.refreshToken ?? "";
      expect(await tab.getIdToken()).toBeDefined();
      domain.refreshTokens.delete(before);
    }
    expect(stored()?.refreshToken).toBe(`refresh-${1 + 5}`);
  });

  it("have the same tokens after two simultaneous refreshes", async () => {
    const { domain, first, second, stored } = await twoTabs();
    await Promise.all([first.getIdToken(), second.getIdToken()]);
    const refreshes = domain.calls.filter(({ grant_type }) => grant_type === "refresh_token");
    expect(refreshes.slice(0, 2).map(({ refresh_token }) => refresh_token)).toEqual(["refresh-1", "refresh-1"]);
    // Ends the grace periods of all replaced tokens.
    const last = stored()?.refreshToken ?? "";
    domain.refreshTokens.clear();
    domain.refreshTokens.add(last);
    expect(await first.getIdToken()).toBeDefined();
    expect(await second.getIdToken()).toBeDefined();
  });

  it("stay signed in when one tab sends a token that the other tab replaced long ago", async () => {
    const { domain, first, second } = await twoTabs();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    domain.state.beforeRefresh = async () => {
      delete domain.state.beforeRefresh;
      arrive();
      await released;
      // The grace period ends before the sleeping tab's request arrives.
      domain.refreshTokens.delete("refresh-1");
    };
    const asleep = first.getIdToken();
    await arrived;
    await second.getIdToken();
    release();
    expect(await asleep).toBeDefined();
    expect(second.customer()).toBeDefined();
  });

  it("are both signed out when one tab signs out, even while the other tab refreshes", async () => {
    const { domain, first, second, stored } = await twoTabs();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    domain.state.beforeAnswer = async () => {
      arrive();
      await released;
    };
    const late = first.getIdToken();
    await arrived;
    await second.signOut();
    release();
    expect(await late).toBeUndefined();
    expect([first.customer(), stored()]).toEqual([undefined, null]);
    // The refresh token that arrived after the sign-out is revoked as well.
    expect([...domain.refreshTokens]).toEqual([]);
  });

  it("stay signed in when the response of a refresh is lost", async () => {
    const { domain, first } = await twoTabs();
    domain.state.beforeAnswer = async () => {
      delete domain.state.beforeAnswer;
      throw new CutConnection();
    };
    expect(await first.getIdToken()).toBeDefined();
    expect(first.customer()).toBeDefined();
  });

  it("can sign in at the same time", async () => {
    const { domain, options } = await hosted();
    const tabs = [createSignIn(options), createSignIn(options)];
    const callbacks = [];
    for (const tab of tabs) callbacks.push(domain.signInAt(await tab.startSignIn()));
    for (const [index, tab] of tabs.entries()) expect(await tab.finishSignIn(callbacks[index] ?? "")).toBeDefined();
  });
});

describe("A corrupt stored sign-in", () => {
  it.each([
    "{",
    "null",
    "5",
    '{"idToken":5}',
    '{"id":"1","idToken":"a.b.c","expiresAt":9999999999999}',
    '{"id":"1","idToken":"a.bnVsbA.c","expiresAt":9999999999999}',
    "[null]",
  ])("counts as signed out and is removed, and sign-out and sign-in still work: %s", async (text) => {
    const { signIn, storage } = await hosted();
    storage.setItem("snack-misaki.tokens.client1", text);
    storage.setItem("snack-misaki.sign-in.client1", text);
    expect(await signIn.signOut()).toContain("/logout?");
    storage.setItem("snack-misaki.tokens.client1", text);
    expect(signIn.customer()).toBeUndefined();
    expect(await signIn.getIdToken()).toBeUndefined();
    expect(storage.getItem("snack-misaki.tokens.client1")).toBeNull();
    expect(await signIn.startSignIn()).toContain("/oauth2/authorize?");
  });
});

describe("Sign-in options", () => {
  it("open the sign-up page with the same parameters", async () => {
    const { signIn, domain } = await hosted();
    const url = new URL(await signIn.startSignIn({ signUp: true }));
    expect(url.origin + url.pathname).toBe(`${domain.url}/signup`);
    expect(await signIn.finishSignIn(domain.signInAt(url.href))).toBeDefined();
  });

  it("add lang and prompt to the URL of the hosted page, but only when they are set", async () => {
    const { signIn } = await hosted();
    const query = new URL(await signIn.startSignIn({ lang: "ja", prompt: "login" })).searchParams;
    expect([query.get("lang"), query.get("prompt")]).toEqual(["ja", "login"]);
    expect([...new URL(await signIn.startSignIn()).searchParams.keys()]).not.toContain("prompt");
  });
});

describe("The requests of a sign-in", () => {
  it("have the parameters that openid-client sends", async () => {
    const { signIn, domain } = await hosted();
    const config = new openid.Configuration(
      {
        issuer: ISSUER,
        authorization_endpoint: `${domain.url}/oauth2/authorize`,
        token_endpoint: `${domain.url}/oauth2/token`,
      },
      settings.clientId,
      undefined,
      openid.None(),
    );
    openid.allowInsecureRequests(config);
    const verifier = openid.randomPKCECodeVerifier();
    const [state, nonce] = [openid.randomState(), openid.randomNonce()];
    const theirs = openid.buildAuthorizationUrl(config, {
      response_type: "code",
      redirect_uri: settings.redirectUri,
      scope: "openid email",
      state,
      nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    const ours = new URL(await signIn.startSignIn());
    expect([...ours.searchParams.keys()].sort()).toEqual([...theirs.searchParams.keys()].sort());

    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
    const answer = await openid.authorizationCodeGrant(config, new URL(domain.signInAt(theirs.href)), checks);
    await openid.refreshTokenGrant(config, answer.refresh_token ?? "");
    const [theirExchange, theirRefresh] = domain.calls.splice(0);
    await signIn.finishSignIn(domain.signInAt(ours.href));
    await signIn.getIdToken(await signIn.getIdToken());
    const [exchange, refresh] = domain.calls;
    const names = (form: object = {}) => Object.keys(form).sort();
    expect([names(exchange), names(refresh)]).toEqual([names(theirExchange), names(theirRefresh)]);
  });
});

describe("finishSignIn", () => {
  it("returns the customer to both callers when it is called twice at once, as in React's strict mode", async () => {
    const { signIn, domain } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    const [first, second] = await Promise.all([signIn.finishSignIn(callback), signIn.finishSignIn(callback)]);
    expect(first).toEqual(second);
    expect(domain.calls).toHaveLength(1);
  });

  it("returns the customer again when the callback page is reloaded", async () => {
    const { signIn, domain, options } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    const customer = await signIn.finishSignIn(callback);
    expect(await signIn.finishSignIn(callback)).toEqual(customer);
    expect(await createSignIn(options).finishSignIn(callback)).toEqual(customer);
    expect(domain.calls).toHaveLength(1);
  });

  it("can be called again with the same URL when the network dropped during the code exchange", async () => {
    const { signIn, domain } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    domain.state.beforeExchange = async () => {
      delete domain.state.beforeExchange;
      throw new CutConnection();
    };
    await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ code: "unavailable", retryable: true });
    expect(await signIn.finishSignIn(callback)).toMatchObject({ sub: "user-1" });
  });

  it.each([403, 429, 503])("can be called again when the code exchange is answered with %d", async (status) => {
    const { signIn, domain } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    domain.state.down = status;
    await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ retryable: true });
    delete domain.state.down;
    expect(await signIn.finishSignIn(callback)).toMatchObject({ sub: "user-1" });
  });

  it("does not undo a sign-out that happens during the code exchange, and revokes the late token", async () => {
    const { signIn, domain, storage } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    domain.state.beforeAnswer = async () => void (await signIn.signOut());
    await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ code: "unauthorized" });
    expect(signIn.customer()).toBeUndefined();
    expect(storage.getItem("snack-misaki.tokens.client1")).toBeNull();
    expect([...domain.refreshTokens]).toEqual([]);
  });

  it.each(["", "&state=x"])(
    "reports only the error code of an error callback with an unknown state while a sign-in is pending: %j",
    async (state) => {
      const { signIn } = await hosted();
      await signIn.startSignIn();
      const callback = `${settings.redirectUri}?error=invalid_request&error_description=Call+0120${state}`;
      const message = "Sign-in failed: invalid_request. Sign in again.";
      await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ code: "unauthorized", message });
      const withText = signIn.finishSignIn(`${settings.redirectUri}?error=Call+0120${state}`);
      await expect(withText).rejects.toThrow("Sign-in failed: unknown state. Sign in again.");
    },
  );

  it("accepts a callback URL without an origin, as routers pass it", async () => {
    const { signIn, domain } = await hosted();
    const callback = domain.signInAt(await signIn.startSignIn());
    const { pathname, search } = new URL(callback);
    expect(await signIn.finishSignIn(`${pathname}${search}#top`)).toMatchObject({ sub: "user-1" });
  });

  it.each(["/callback", "", "http://", "/callback?code=1&state=x"])(
    "returns a promise that rejects with ApiProblem for a URL without a pending sign-in: %j",
    async (callback) => {
      const { signIn } = await hosted();
      const finished = signIn.finishSignIn(callback);
      await expect(finished).rejects.toMatchObject({ name: "ApiProblem", code: "unauthorized" });
    },
  );

  it("does not repeat the error text of a callback when this browser did not start a sign-in", async () => {
    const { signIn } = await hosted();
    const callback = `${settings.redirectUri}?error=x&error_description=Call+0120`;
    const error = await signIn.finishSignIn(callback).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "unauthorized", message: expect.not.stringContaining("0120") });
  });
});

describe("Two clients of different stacks on one site", () => {
  it("do not see each other's sign-in", async () => {
    const { signIn, domain, storage, options } = await hosted();
    const other = createSignIn({ ...options, clientId: "client2", storage });
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    await other.signOut();
    expect(other.customer()).toBeUndefined();
    expect(signIn.customer()).toBeDefined();
  });
});

describe("A browser that refuses storage", () => {
  const full = {
    getItem: () => null,
    removeItem: () => undefined,
    setItem: () => {
      throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
    },
  };

  it("makes the start of a sign-in fail with advice when the storage is full", async () => {
    const { options } = await hosted();
    const start = createSignIn({ ...options, storage: full }).startSignIn();
    await expect(start).rejects.toMatchObject({ name: "ApiProblem", code: "unavailable", retryable: false });
    await expect(start).rejects.toThrow(/Allow this page to store data/);
  });

  it("makes the start of a sign-in fail with advice when the page may not use localStorage", async () => {
    const { storage: _, ...options } = (await hosted()).options;
    const forbidden = () => {
      throw new DOMException("Access is denied for this document.", "SecurityError");
    };
    const own = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
    Object.defineProperty(globalThis, "localStorage", { get: forbidden, configurable: true });
    onTestFinished(() => {
      if (own) Object.defineProperty(globalThis, "localStorage", own);
      else Reflect.deleteProperty(globalThis, "localStorage");
    });
    const signIn = createSignIn(options);
    expect(signIn.customer()).toBeUndefined();
    expect(await signIn.getIdToken()).toBeUndefined();
    await expect(signIn.startSignIn()).rejects.toMatchObject({ name: "ApiProblem", code: "unavailable" });
    expect(await signIn.signOut()).toContain("/logout?");
  });

  it("keeps the customer signed in on this page when the storage becomes full during the sign-in", async () => {
    const { domain, options, storage } = await hosted();
    const signIn = createSignIn({
      ...options,
      storage: { ...storage, setItem: (...args) => filling.setItem(...args) },
    });
    let filling: Pick<Storage, "setItem"> = storage;
    const callback = domain.signInAt(await signIn.startSignIn());
    filling = full;
    await signIn.finishSignIn(callback);
    expect(signIn.customer()).toMatchObject({ sub: "user-1" });
    expect(await signIn.getIdToken()).toBeDefined();
    await signIn.signOut();
    expect(signIn.customer()).toBeUndefined();
  });

  it("makes the start of a sign-in fail with advice without crypto.subtle, as on an http page", async () => {
    const { signIn } = await hosted();
    vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
    await expect(signIn.startSignIn()).rejects.toMatchObject({ name: "ApiProblem", code: "unavailable" });
    await expect(signIn.startSignIn()).rejects.toThrow(/https/);
  });
});

describe("Another tab", () => {
  /** Opens two tabs and records the events that each tab emits. */
  async function tabs(change: Partial<HostedDomainSettings> = {}) {
    const { domain, options, signIn: first } = await hosted(change);
    const second = createSignIn(options);
    const [events, otherEvents]: string[][] = [[], []];
    first.subscribe(({ type }) => events?.push(type));
    second.subscribe(({ type }) => otherEvents?.push(type));
    const signIn = async () => first.finishSignIn(domain.signInAt(await first.startSignIn()));
    return { domain, options, first, second, events, otherEvents, signIn };
  }

  it("follows a sign-in and a sign-out without user action", async () => {
    const { first, second, events, otherEvents, signIn } = await tabs();
    await signIn();
    await expect.poll(() => otherEvents).toEqual(["signedIn"]);
    expect(second.customer()).toMatchObject({ sub: "user-1" });
    await first.signOut();
    await expect.poll(() => otherEvents).toEqual(["signedIn", "signedOut"]);
    expect(second.customer()).toBeUndefined();
    expect(events).toEqual(["signedIn", "signedOut"]);
  });

  it("gets sessionLost when Cognito rejects the refresh", async () => {
    const { domain, first, events, otherEvents, signIn } = await tabs({ expiresIn: 30 });
    await signIn();
    domain.refreshTokens.clear();
    expect(await first.getIdToken()).toBeUndefined();
    await expect.poll(() => otherEvents).toEqual(["signedIn", "sessionLost"]);
    expect(events).toEqual(["signedIn", "sessionLost"]);
  });

  it("with a separate storage is signed out too when it has a copy of the same sign-in", async () => {
    const { domain, options, first, signIn } = await tabs();
    await signIn();
    const copy = memoryStorage();
    copy.setItem("snack-misaki.tokens.client1", options.storage.getItem("snack-misaki.tokens.client1") ?? "");
    const duplicate = createSignIn({ ...options, storage: copy });
    const stranger = createSignIn({ ...options, storage: memoryStorage() });
    await stranger.finishSignIn(domain.signInAt(await stranger.startSignIn()));
    await first.signOut();
    await expect.poll(() => duplicate.customer()).toBeUndefined();
    expect(stranger.customer()).toBeDefined();
  });

  it("keeps a new sign-in when the message about the earlier sign-out arrives late", async () => {
    const { first, second, otherEvents, signIn } = await tabs();
    await signIn();
    await first.signOut();
    await signIn();
    await expect.poll(() => otherEvents?.at(-1)).toBe("signedIn");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(second.customer()).toBeDefined();
  });

  it("gets the event even when the tokens arrive after the message, as between two browser processes", async () => {
    const page = new EventTarget();
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    const { domain, options, first, otherEvents } = await tabs();
    const late = memoryStorage();
    const second = createSignIn({ ...options, storage: late });
    const told: string[] = [];
    second.subscribe(({ type }) => told.push(type));
    await first.finishSignIn(domain.signInAt(await first.startSignIn()));
    // All channels have delivered the message now.
    await expect.poll(() => otherEvents).toEqual(["signedIn"]);
    expect(told).toEqual([]);
    const key = "snack-misaki.tokens.client1";
    late.setItem(key, options.storage.getItem(key) ?? "");
    page.dispatchEvent(new Event("storage"));
    await expect.poll(() => told).toEqual(["signedIn"]);
  });

  it("gets a missed event when it returns from the back/forward cache", async () => {
    const page = new EventTarget();
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    vi.stubGlobal("BroadcastChannel", undefined);
    const { second, otherEvents, signIn } = await tabs();
    await signIn();
    expect(otherEvents).toEqual([]);
    page.dispatchEvent(new Event("pageshow"));
    await expect.poll(() => otherEvents).toEqual(["signedIn"]);
    expect(second.customer()).toBeDefined();
  });

  it("gets no event after it has unsubscribed, and a throwing listener does not fail the sign-in", async () => {
    const { first, otherEvents, second, signIn } = await tabs();
    const errors: unknown[] = [];
    vi.stubGlobal("queueMicrotask", (run: () => void) => {
      try {
        run();
      } catch (error) {
        errors.push(error);
      }
    });
    first.subscribe(() => {
      throw new Error("a page's mistake");
    });
    const told: string[] = [];
    second.subscribe(({ type }) => told.push(type))();
    await signIn();
    await expect.poll(() => otherEvents).toEqual(["signedIn"]);
    expect(told).toEqual([]);
    expect(errors).toHaveLength(1);
  });

  it("gets no event that is not yet delivered when it unsubscribes", async () => {
    const { first, events, signIn } = await tabs();
    await signIn();
    const told: string[] = [];
    const unsubscribe = first.subscribe(({ type }) => told.push(type));
    // signOut emits its event before it returns.
    const signedOut = first.signOut();
    unsubscribe();
    await signedOut;
    expect([events, told]).toEqual([["signedIn", "signedOut"], []]);
  });
});

describe("Sign-out", () => {
  it("is not undone by a refresh answer that arrives later", async () => {
    const { signIn, domain, storage } = await hosted({ expiresIn: 30, rotation: true });
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    domain.state.beforeAnswer = async () => void (await signIn.signOut());
    expect(await signIn.getIdToken()).toBeUndefined();
    expect([signIn.customer(), storage.getItem("snack-misaki.tokens.client1")]).toEqual([undefined, null]);
    expect([...domain.refreshTokens]).toEqual([]);
  });

  it("and a following sign-in are not undone by a late refresh answer of the old sign-in", async () => {
    const { signIn, domain } = await hosted({ expiresIn: 30 });
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    domain.state.beforeRefresh = async () => {
      delete domain.state.beforeRefresh;
      await signIn.signOut();
      await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    };
    expect(await signIn.getIdToken()).toBeDefined();
    expect(signIn.customer()).toBeDefined();
  });

  it("deletes the tokens, revokes the refresh token and returns Cognito's logout URL", async () => {
    const { signIn, domain } = await hosted();
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    const url = await signIn.signOut();
    expect(url).toBe(`${domain.url}/logout?client_id=client1&logout_uri=http%3A%2F%2Flocalhost%3A4100%2F`);
    expect(await signIn.getIdToken()).toBeUndefined();
    expect(domain.refreshTokens.size).toBe(0);
  });

  it("succeeds even when Cognito cannot be reached", async () => {
    const { signIn, domain } = await hosted();
    await signIn.finishSignIn(domain.signInAt(await signIn.startSignIn()));
    await domain.close();
    expect(await signIn.signOut()).toContain("/logout?");
    expect(signIn.customer()).toBeUndefined();
  });
});

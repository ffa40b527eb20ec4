import { afterEach, describe, expect, it } from "vitest";
import { createSignIn } from "../../client";
import { CutConnection } from "../../local/support/http";
import { type HostedDomainSettings, ISSUER, memoryStorage, startHostedDomain } from "./fakes";

const settings = { clientId: "client1", redirectUri: "http://localhost:4100/callback" };
const domains: { close(): Promise<void> }[] = [];
afterEach(async () => {
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

  it("rejects a callback that this browser did not request, and a callback that was already used", async () => {
    const { signIn, domain } = await hosted();
    const foreignCallback = `${settings.redirectUri}?code=code-1&state=x`;
    await expect(signIn.finishSignIn(foreignCallback)).rejects.toMatchObject({ code: "unauthorized" });
    const callback = domain.signInAt(await signIn.startSignIn());
    await expect(signIn.finishSignIn(foreignCallback)).rejects.toMatchObject({ code: "unauthorized" });
    await signIn.finishSignIn(callback);
    await expect(signIn.finishSignIn(callback)).rejects.toMatchObject({ code: "unauthorized" });
    expect(domain.calls).toHaveLength(1);
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
  // A token that is valid for 30 s is always in its last minute, so the client refreshes it.
  async function signedIn() {
    const all = await hosted({ expiresIn: 30 });
    await all.signIn.finishSignIn(all.domain.signInAt(await all.signIn.startSignIn()));
    return all;
  }

  it("is refreshed in its last minute, and only once for concurrent callers", async () => {
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

  it("stays stored when a refresh fails because Cognito is down", async () => {
    const { signIn, domain } = await signedIn();
    domain.state.down = 500;
    await expect(signIn.getIdToken()).rejects.toMatchObject({ code: "internal", retryable: true });
    expect(signIn.customer()).toBeDefined();
  });
});

describe("Two tabs that share a sign-in with refresh token rotation", () => {
  /** Two tabs with one storage, both signed in. Every ID token is in its last minute, so each call refreshes. */
  async function twoTabs() {
    const { domain, options, storage, signIn: first } = await hosted({ expiresIn: 30, rotation: true });
    await first.finishSignIn(domain.signInAt(await first.startSignIn()));
    const stored = () =>
      JSON.parse(storage.getItem("snack-misaki.tokens.client1") ?? "null") as { refreshToken: string } | null;
    return { domain, first, second: createSignIn(options), stored };
  }

  it("stay signed in when each refreshes after the grace period of the other's refresh", async () => {
    const { domain, first, second, stored } = await twoTabs();
    for (const tab of [first, second, second, first, second]) {
      const before = stored()?.refreshToken ?? "";
      expect(await tab.getIdToken()).toBeDefined();
      domain.refreshTokens.delete(before);
    }
    expect(stored()?.refreshToken).toBe(`refresh-${1 + 5}`);
  });

  it("have the same tokens after they refreshed at the same moment", async () => {
    const { domain, first, second, stored } = await twoTabs();
    await Promise.all([first.getIdToken(), second.getIdToken()]);
    const refreshes = domain.calls.filter(({ grant_type }) => grant_type === "refresh_token");
    expect(refreshes.slice(0, 2).map(({ refresh_token }) => refresh_token)).toEqual(["refresh-1", "refresh-1"]);
    // The grace periods of all replaced tokens end.
    const last = stored()?.refreshToken ?? "";
    domain.refreshTokens.clear();
    domain.refreshTokens.add(last);
    expect(await first.getIdToken()).toBeDefined();
    expect(await second.getIdToken()).toBeDefined();
  });

  it("stay signed in when one sends a token that the other has replaced long ago", async () => {
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

  it("are both signed out when one signs out, also while the other refreshes", async () => {
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
    // The refresh token that came too late is revoked as well.
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

describe("A stored sign-in of another version", () => {
  it.each(["{", "null", "5", '{"idToken":5}', '{"idToken":"a.b.c"}'])("counts as signed out: %s", async (text) => {
    const { signIn, storage } = await hosted();
    storage.setItem("snack-misaki.tokens.client1", text);
    storage.setItem("snack-misaki.sign-in.client1", text);
    expect(signIn.customer()).toBeUndefined();
    expect(await signIn.getIdToken()).toBeUndefined();
    expect(await signIn.signOut()).toContain("/logout?");
    expect(await signIn.startSignIn()).toContain("/oauth2/authorize?");
  });
});

describe("Sign-out", () => {
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

import { Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiProblem, type ClientEvent, createClient, type Plan, type Session } from "../../client";
import { CutConnection, serve } from "../../local/support/http";
import { doneItem, ISSUER, memoryStorage, sessionFor, startHostedDomain, startJobApi } from "./fakes";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Starts all services, and one client per tab. The API answers with `state`. */
async function open(tabCount = 1) {
  let rejectTicket: (() => void) | undefined;
  const jobs = await startJobApi({
    stream: [{ status: "COMPLETED", items: [doneItem("あら")] }],
    reject: () => {
      rejectTicket?.();
      return rejectTicket && { status: 401, body: {} };
    },
  });
  const rejectTickets = (meanwhile: () => void) => {
    rejectTicket = meanwhile;
  };
  const redirectUri = "http://localhost:4100/callback";
  const domain = await startHostedDomain({ clientId: "client1", redirectUri });
  const state = { plan: "free" as Plan, ttlMs: 120_000, rejected: new Set<string>(), delay: async () => {} };
  const calls: string[] = [];
  const app = new Hono();
  app.onError((error) => {
    throw error;
  });
  const sessionOf = (user_id: string, plan: Plan): Session =>
    sessionFor(jobs.url, {
      user_id,
      plan: plan as "free",
      ticket_expires_at: new Date(Date.now() + state.ttlMs).toISOString(),
    });
  app.use(async (c, next) => {
    calls.push(`${c.req.method} ${c.req.path}`);
    const token = c.req.header("authorization") ?? "";
    if (state.rejected.has(token)) return c.json({ message: "Unauthorized" }, 401);
    return next();
  });
  app.post("/auth/guest", async (c) => {
    await state.delay();
    return c.json(sessionOf("guest:1", "free"));
  });
  app.post("/auth/session", async (c) => {
    const { plan } = state;
    await state.delay();
    return c.json(sessionOf("user-1", plan));
  });
  for (const path of ["/billing/plan", "/billing/sync"]) {
    app.all(path, async (c) => {
      const { plan } = state;
      if (path === "/billing/plan") await state.delay();
      return c.json({ user_id: "user-1", plan });
    });
  }
  const api = await serve("API", 0, app.fetch);
  servers.push(jobs, domain, api);
  const storage = memoryStorage();
  const tabs = Array.from({ length: tabCount }, () => {
    const client = createClient({
      apiUrl: api.url,
      url: domain.url,
      clientId: "client1",
      issuer: ISSUER,
      scopes: ["openid"],
      redirectUri,
      logoutUri: "http://localhost:4100/",
      storage,
    });
    const events: ClientEvent[] = [];
    client.subscribe((event) => events.push(event));
    return { client, events };
  });
  const [first] = tabs;
  if (!first) throw new Error("no tab");
  const signIn = async () => first.client.finishSignIn(domain.signInAt(await first.client.startSignIn()));
  return { rejectTickets, domain, state, calls, tabs, ...first, signIn };
}

async function textOf(reply: AsyncIterable<object>): Promise<string> {
  let text = "";
  for await (const item of reply) if ("done" in item && "text" in item) text = String(item.text);
  return text;
}

describe("A client", () => {
  it("chats as a guest before sign-in, and as the customer after sign-in", async () => {
    const { client, calls, signIn } = await open();
    expect(await textOf(client.chat({ text: "こんばんは" }))).toBe("あら");
    await signIn();
    expect(await textOf(client.chat({ text: "こんばんは" }))).toBe("あら");
    expect(calls).toEqual(["POST /auth/guest", "POST /auth/session"]);
  });

  it("opens one session for concurrent callers and later chats, and a new session when the ticket expires", async () => {
    const { client, calls, state } = await open();
    await Promise.all([client.session(), client.session()]);
    await textOf(client.chat({ text: "a" }));
    expect(calls).toHaveLength(1);
    state.ttlMs = 1_000;
    vi.setSystemTime(Date.now() + 115_000);
    await client.session();
    await client.session();
    expect(calls).toHaveLength(3);
  });

  it("tries to open a session again after a failure", async () => {
    const { client, state } = await open();
    state.delay = async () => {
      state.delay = async () => {};
      throw new CutConnection();
    };
    const retried = client.session().catch((error: unknown) => {
      expect(error).toBeInstanceOf(ApiProblem);
      return client.session();
    });
    expect(await retried).toMatchObject({ plan: "free" });
  });

  it("refreshes the ID token and repeats the call when the API rejects the token, as with a wrong clock", async () => {
    const { client, state, calls, signIn, domain } = await open();
    await signIn();
    const before = domain.calls.length;
    state.rejected.add(await tokenOf(client, calls));
    expect(await client.plan()).toMatchObject({ plan: "free" });
    expect(domain.calls.length).toBe(before + 1);
  });

  it("emits sessionLost and does not chat as a guest when the API rejects the ID token and Cognito rejects the refresh", async () => {
    const { client, state, calls, events, signIn, domain } = await open();
    await signIn();
    state.rejected.add(await tokenOf(client, calls));
    domain.refreshTokens.clear();
    await expect(textOf(client.chat({ text: "a" }))).rejects.toMatchObject({ code: "unauthorized" });
    expect(events.at(-1)).toEqual({ type: "sessionLost" });
    expect(calls).not.toContain("POST /auth/guest");
  });
});

describe("A customer's chat", () => {
  it("does not continue as a guest when its session needs a renewal after the sign-out", async () => {
    const { client, calls, rejectTickets, signIn } = await open();
    await signIn();
    rejectTickets(() => void client.signOut());
    await expect(textOf(client.chat({ text: "a" }))).rejects.toMatchObject({ code: "unauthorized" });
    expect(calls).toEqual(["POST /auth/session"]);
  });
});

describe("A plan change", () => {
  const planChanged = { type: "planChanged", plan: "paid" };

  it("emits one event, and the next chat uses a session of the new plan", async () => {
    const { client, state, events, signIn } = await open();
    await signIn();
    expect((await client.session()).plan).toBe("free");
    state.plan = "paid";
    await client.sync();
    expect((await client.session()).plan).toBe("paid");
    await client.plan();
    expect(events.slice(1)).toEqual([planChanged]);
  });

  it("emits an event in the other tabs, even when the tab that read the new plan was just loaded", async () => {
    const { tabs, state, signIn } = await open(2);
    await signIn();
    const [returned, other] = tabs;
    await expect.poll(() => other?.events.length).toBe(1);
    await other?.client.session();
    state.plan = "paid";
    await returned?.client.sync();
    await expect.poll(() => other?.events.at(-1)).toEqual(planChanged);
    expect((await other?.client.session())?.plan).toBe("paid");
  });

  it("is not undone by an older plan response that arrives later", async () => {
    const { client, state, events, signIn } = await open();
    await signIn();
    await client.session();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    state.delay = () => released;
    const slow = client.plan();
    await new Promise((resolve) => setTimeout(resolve, 50));
    state.plan = "paid";
    state.delay = async () => {};
    await client.sync();
    release();
    await slow;
    expect(events.slice(1)).toEqual([planChanged]);
  });
});

describe("A session request that started before the plan changed", () => {
  /** Opens two tabs of a customer with a new plan. The first tab still waits for a session with the old plan. */
  async function lateSession() {
    const { tabs, state, calls, signIn } = await open(2);
    await signIn();
    const [first, second] = tabs;
    if (!first || !second) throw new Error("no tabs");
    await expect.poll(() => second.events.length).toBe(1);
    await first.client.plan();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    state.delay = () => released;
    const late = first.client.session();
    await expect.poll(() => calls).toContain("POST /auth/session");
    state.delay = async () => {};
    state.plan = "paid";
    return { first, second, calls, late, release };
  }

  it("does not give its session to a caller after the change", async () => {
    const { first, late, release } = await lateSession();
    await first.client.sync();
    const next = first.client.session();
    release();
    expect([(await late).plan, (await next).plan]).toEqual(["free", "paid"]);
    expect((await first.client.session()).plan).toBe("paid");
  });

  it("does not undo a plan change that another tab has announced", async () => {
    const { first, second, calls, late, release } = await lateSession();
    await second.client.sync();
    const opened = () => {
      void first.client.session();
      return calls.filter((call) => call === "POST /auth/session").length;
    };
    await expect.poll(opened).toBe(2);
    release();
    await late;
    await first.client.session();
    const told = [...first.events, ...second.events].map((event) => (event.type === "planChanged" ? event.plan : ""));
    expect(told).not.toContain("free");
  });
});

describe("A client on a server", () => {
  it("has no customer and cannot start a sign-in", async () => {
    vi.stubGlobal("BroadcastChannel", undefined);
    const settings = { url: "http://localhost:1", clientId: "c", issuer: ISSUER, scopes: ["openid"] };
    const urls = {
      apiUrl: "http://localhost:1",
      redirectUri: "http://a.example/callback",
      logoutUri: "http://a.example/",
    };
    const client = createClient({ ...settings, ...urls });
    expect(client.customer()).toBeUndefined();
    expect(await client.signOut()).toContain("/logout?");
    await expect(client.startSignIn()).rejects.toMatchObject({ name: "ApiProblem", code: "unavailable" });
  });
});

/** `Authorization` header of the customer's calls, seen by the API. */
async function tokenOf(client: ReturnType<typeof createClient>, calls: string[]): Promise<string> {
  const realFetch = fetch;
  let authorization = "";
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    authorization = new Headers(init.headers).get("authorization") ?? authorization;
    return realFetch(url, init);
  });
  await client.plan();
  vi.unstubAllGlobals();
  calls.length = 0;
  return authorization;
}

import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiProblem, createApi } from "../../client";
import { type Listening, listen, serve } from "../../local/support/http";
import { sessionFor } from "./fakes";

const session = sessionFor("http://localhost:1");
const app = new Hono();
app.post("/auth/session", (c) =>
  c.req.header("authorization") === "Bearer id-token" ? c.json(session) : c.json({ message: "Unauthorized" }, 401),
);
app.post("/auth/guest", (c) =>
  c.req.header("authorization") === undefined ? c.json(session) : c.json({ message: "a guest has no token" }, 400),
);
app.get("/billing/plan", (c) =>
  c.json({ error: { code: "overloaded", message: "Too busy at the moment.", retryable: true } }, 503),
);

const plan = {
  user_id: "user-1",
  plan: "paid",
  stripe_status: "active",
  expires_at: "2026-12-22T00:00:00Z",
  updated_at: "2026-11-22T00:00:00Z",
  reason: "subscription",
  limits: session.limits,
};
app.post("/billing/checkout", async (c) => {
  if (c.req.header("content-type") !== "application/json") return c.json({ message: "no JSON" }, 415);
  const { plan } = (await c.req.json()) as { plan: string };
  if (plan === "paid") return c.json({ url: "http://localhost:4103/c/pay/cs_test_1" });
  const message = "There is a subscription already. Change it in the customer portal.";
  return c.json({ error: { code: "already_subscribed", message, retryable: false } }, 409);
});
for (const [path, answer] of [
  ["/billing/portal", { url: "http://localhost:4103/p/session/bps_1" }],
  ["/billing/sync", plan],
] as const) {
  app.post(path, async (c) => ((await c.req.text()) === "" ? c.json(answer) : c.json({ message: "a body" }, 400)));
}

let api: Listening;
let silent: Listening;
beforeAll(async () => {
  api = await serve("API", 0, app.fetch);
  silent = await listen("silent API", 0, () => undefined);
});
afterAll(() => Promise.all([api.close(), silent.close()]));

const withToken = (idToken: string | undefined, apiUrl = api.url) =>
  createApi({ apiUrl, getIdToken: async () => idToken, timeoutMs: 300 });

async function problemOf(promise: Promise<unknown>): Promise<ApiProblem> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

describe("the API's client", () => {
  it("asks for a session with the ID token, and for a guest's without", async () => {
    expect(await withToken("id-token", `${api.url}/`).session()).toEqual(session);
    expect(await withToken("id-token").guest()).toEqual(session);
  });

  it("does not call without an ID token", async () => {
    expect(await problemOf(withToken(undefined, "http://localhost:1").plan())).toMatchObject({ code: "unauthorized" });
  });

  it("gives the product's error as it was said", async () => {
    const expected = { code: "overloaded", message: "Too busy at the moment.", retryable: true };
    expect(await problemOf(withToken("id-token").plan())).toMatchObject(expected);
  });

  it("asks where to pay for a plan, and tells that there is one already", async () => {
    expect(await withToken("id-token").checkout("paid")).toEqual({ url: "http://localhost:4103/c/pay/cs_test_1" });
    expect(await problemOf(withToken("id-token").checkout("vip"))).toMatchObject({
      code: "already_subscribed",
      retryable: false,
    });
  });

  it("asks for the customer portal, and for the plan as Stripe has it now, without a body", async () => {
    expect(await withToken("id-token").portal()).toEqual({ url: "http://localhost:4103/p/session/bps_1" });
    expect(await withToken("id-token").sync()).toEqual(plan);
  });

  it("gives API Gateway's own refusals the registry's codes", async () => {
    const refused = await problemOf(withToken("forged").session());
    expect(refused).toMatchObject({ code: "unauthorized", retryable: false });
    expect(refused.message).toBe("POST /auth/session answered 401: Unauthorized");
    const missing = await problemOf(withToken("id-token", `${api.url}/old`).session());
    expect(missing).toMatchObject({ code: "unavailable", retryable: false });
  });

  it("stops waiting for an API that does not answer, and says when there is none", async () => {
    expect(await problemOf(withToken("id-token", silent.url).session())).toMatchObject({ code: "timeout" });
    const gone = await serve("gone", 0, app.fetch);
    await gone.close();
    expect(await problemOf(withToken("id-token", gone.url).guest())).toMatchObject({
      code: "unavailable",
      retryable: true,
    });
  });

  it("does not take a page for an answer", async () => {
    const portal = await serve("portal", 0, () => new Response("<html>Log in to the Wi-Fi</html>"));
    expect(await problemOf(withToken("id-token", portal.url).guest())).toMatchObject({ code: "internal" });
    await portal.close();
  });
});

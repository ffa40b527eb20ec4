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
app.post("/auth/guest", (c) => {
  const authorization = c.req.header("authorization");
  if (authorization === undefined) return c.json(session);
  if (authorization === `Bearer ${session.ticket}`) return c.json({ ...session, ticket: "ticket-2" });
  return c.json({ message: "a guest must only send the ticket of the last session" }, 400);
});
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
  if (c.req.header("content-type") !== "application/json") return c.json({ message: "the body must be JSON" }, 415);
  const { plan } = (await c.req.json()) as { plan: string };
  if (plan === "paid") return c.json({ url: "http://localhost:4103/c/pay/cs_test_1" });
  const message = "There is a subscription already. Change it in the customer portal.";
  return c.json({ error: { code: "already_subscribed", message, retryable: false } }, 409);
});
for (const [path, answer] of [
  ["/billing/portal", { url: "http://localhost:4103/p/session/bps_1" }],
  ["/billing/sync", plan],
] as const) {
  app.post(path, async (c) =>
    (await c.req.text()) === "" ? c.json(answer) : c.json({ message: "the body must be empty" }, 400),
  );
}

let api: Listening;
let silent: Listening;
beforeAll(async () => {
  api = await serve("API", 0, app.fetch);
  silent = await listen("silent API", 0, () => undefined);
});
afterAll(() => Promise.all([api.close(), silent.close()]));

const withToken = (idToken: string | undefined, apiUrl = api.url, timeoutMs = 15_000) =>
  createApi({ apiUrl, getIdToken: async () => idToken, timeoutMs });

async function problemOf(promise: Promise<unknown>): Promise<ApiProblem> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

describe("The API client", () => {
  it("creates a session with the ID token, and a guest session without a token", async () => {
    expect(await withToken("id-token", `${api.url}/`).session()).toEqual(session);
    expect(await withToken("id-token").guest()).toEqual(session);
  });

  it("renews a guest session with the previous guest ticket, so that the guest does not count as new", async () => {
    const { guest } = withToken(undefined);
    expect((await guest()).ticket).toBe(session.ticket);
    expect((await guest()).ticket).toBe("ticket-2");
    // A separate client has no ticket and counts as a new guest.
    expect((await withToken(undefined).guest()).ticket).toBe(session.ticket);
  });

  it("throws unauthorized and sends no request when there is no ID token", async () => {
    expect(await problemOf(withToken(undefined, "http://localhost:1").plan())).toMatchObject({ code: "unauthorized" });
  });

  it("throws a problem with the code, message and retryable flag of the API's error", async () => {
    const expected = { code: "overloaded", message: "Too busy at the moment.", retryable: true };
    expect(await problemOf(withToken("id-token").plan())).toMatchObject(expected);
  });

  it("returns the Checkout URL, and throws already_subscribed for a second subscription", async () => {
    expect(await withToken("id-token").checkout("paid")).toEqual({ url: "http://localhost:4103/c/pay/cs_test_1" });
    expect(await problemOf(withToken("id-token").checkout("vip"))).toMatchObject({
      code: "already_subscribed",
      retryable: false,
    });
  });

  it("sends portal and sync requests without a body, and returns the API's responses", async () => {
    expect(await withToken("id-token").portal()).toEqual({ url: "http://localhost:4103/p/session/bps_1" });
    expect(await withToken("id-token").sync()).toEqual(plan);
  });

  it("maps errors of API Gateway to the product's codes", async () => {
    const rejected = await problemOf(withToken("forged").session());
    expect(rejected).toMatchObject({ code: "unauthorized", retryable: false });
    expect(rejected.message).toBe("POST /auth/session answered 401: Unauthorized");
    const missing = await problemOf(withToken("id-token", `${api.url}/old`).session());
    expect(missing).toMatchObject({ code: "unavailable", retryable: false });
  });

  it("throws timeout when the API does not respond, and unavailable when the API is not running", async () => {
    expect(await problemOf(withToken("id-token", silent.url, 300).session())).toMatchObject({ code: "timeout" });
    const closed = await serve("closed API", 0, app.fetch);
    await closed.close();
    expect(await problemOf(withToken("id-token", closed.url).guest())).toMatchObject({
      code: "unavailable",
      retryable: true,
    });
  });

  it("throws internal when the response is HTML, such as a Wi-Fi login page", async () => {
    const portal = await serve("portal", 0, () => new Response("<html>Log in to the Wi-Fi</html>"));
    expect(await problemOf(withToken("id-token", portal.url).guest())).toMatchObject({ code: "internal" });
    await portal.close();
  });
});

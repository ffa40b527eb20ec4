import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiProblem, createApi } from "../../client";
import { type Listening, listen, serve } from "../../local/http";
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

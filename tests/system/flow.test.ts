import type { Locator } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { ApiProblem, chat, createApi, type Session } from "../../client";
import { openApi } from "../../contract/openapi/document";
import { PlanResponse, planModels } from "../../contract/plan";
import { SessionResponse } from "../../contract/session";
import { customers } from "../../local/cloud/customers";
import { signedIn } from "../../local/visitor/customer";
import { modelSessions } from "../../local/visitor/modelSessions";
import { launchBrowser, needsBrowser } from "../browser";
import { statusWithHost } from "../statusWithHost";
import { expectDocumentedAnswers, guestLimit, type SuiteCloud, suiteCloud } from "../suiteCloud";
import { needsPython } from "../workerPython";

// Tests the whole product over real sockets: Cognito's pages, the HTTP API, the Lambdas' archives, RunPod and its
// workers.
let cloud: SuiteCloud["cloud"];
let outputs: SuiteCloud["outputs"];

beforeAll(async () => {
  ({ cloud, outputs } = await suiteCloud());
});

async function idTokenOf(label: string): Promise<string> {
  const customer = customers.find((one) => one.label === label);
  if (!customer) throw new Error(`There is no customer ${label}`);
  const token = await (await signedIn(outputs, cloud.pageUrl, customer)).getIdToken();
  if (!token) throw new Error("The customer has no ID token");
  return token;
}

const apiOf = (label: string) => createApi({ apiUrl: outputs.apiUrl, getIdToken: () => idTokenOf(label) });

async function call(path: string, init: RequestInit = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${outputs.apiUrl}${path}`, { method: "POST", ...init });
  return { status: response.status, body: await response.json() };
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Runs a job and returns its final status. */
async function runJob(session: Session, input: unknown): Promise<{ status: string; error: string }> {
  const { url, authorization } = session.inference;
  const headers = { authorization, "content-type": "application/json" };
  const run = await fetch(`${url}/run`, { method: "POST", headers, body: JSON.stringify({ input }) });
  const { id } = (await run.json()) as { id: string };
  for (;;) {
    const job = await (await fetch(`${url}/status/${id}`, { headers })).json();
    if (!["IN_QUEUE", "IN_PROGRESS"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("POST /auth/session", () => {
  it.each([
    ["free", planModels.free],
    ["paid", planModels.paid],
  ] as const)("lets a customer of plan %s chat with the model %s", async (plan, model) => {
    const session = await apiOf(plan).session();
    expect(SessionResponse.parse(session)).toMatchObject({ plan, model });
    const items = await allOf(chat(session, { text: "こんばんは" }));
    const last = items.at(-1);
    const deltas = items.flatMap((item) => ("delta" in item ? [item.delta] : []));
    expect(deltas.length).toBeGreaterThan(1);
    expect(last).toMatchObject({ done: true, text: deltas.join(""), model: { name: model, version: "local-1" } });
  });

  it("responds with the reason when the body is invalid", async () => {
    const headers = { authorization: `Bearer ${await idTokenOf("free")}` };
    const error = (code: string, message: string) => ({ error: { code, message, retryable: false } });
    expect(await call("/auth/session", { headers, body: "{" })).toEqual({
      status: 400,
      body: error("invalid_input", "body: must be JSON"),
    });
    expect(await call("/auth/session", { headers, body: '{"plan":"vip"}' })).toEqual({
      status: 400,
      body: error("invalid_input", "body: unknown field plan"),
    });
  });
});

describe("POST /auth/guest", () => {
  it("creates guest sessions up to the limit, and renews existing sessions after the limit is reached", async () => {
    const newGuest = () => createApi({ apiUrl: outputs.apiUrl, getIdToken: async () => undefined });
    const guests = Array.from({ length: guestLimit }, newGuest);
    const sessions = await Promise.all(guests.map((api) => api.guest()));
    for (const session of sessions) expect(session).toMatchObject({ plan: "free", model: planModels.free });
    await expect(newGuest().guest()).rejects.toMatchObject({ code: "rate_limited", retryable: true });
    const renewed = await Promise.all(guests.map((api) => api.guest()));
    expect(renewed.map(({ user_id }) => user_id)).toEqual(sessions.map(({ user_id }) => user_id));
  });
});

describe("GET /billing/plan", () => {
  it("returns free without a grant and the granted plan with a grant", async () => {
    expect(PlanResponse.parse(await apiOf("free").plan())).toMatchObject({ plan: "free", reason: "no_plan" });
    expect(PlanResponse.parse(await apiOf("vip").plan())).toMatchObject({ plan: "vip", reason: "grant" });
  });
});

describe("ID token", () => {
  const session = (authorization?: string) =>
    call("/auth/session", authorization ? { headers: { authorization } } : {});
  const unauthorized = { status: 401, body: { message: "Unauthorized" } };

  it("is rejected by the API gateway when it is missing, malformed or forged", async () => {
    const [header, payload] = (await idTokenOf("free")).split(".");
    expect(await session()).toEqual(unauthorized);
    expect(await session("Bearer nonsense")).toEqual(unauthorized);
    expect(await session(`Bearer ${header}.${payload}.${"A".repeat(342)}`)).toEqual(unauthorized);
  });

  it("cannot be replaced by an access token", async () => {
    const customer = customers[0];
    if (!customer) throw new Error("There is no customer");
    let accessToken = "";
    const fetched = globalThis.fetch;
    // The client does not expose the access token, so the test intercepts the token response.
    globalThis.fetch = async (...args) => {
      const response = await fetched(...args);
      if (String(args[0]).endsWith("/oauth2/token")) accessToken = (await response.clone().json()).access_token;
      return response;
    };
    await signedIn(outputs, cloud.pageUrl, customer).finally(() => {
      globalThis.fetch = fetched;
    });
    const { status, body } = await session(`Bearer ${accessToken}`);
    expect({ status, code: (body.error as { code: string }).code }).toEqual({ status: 401, code: "wrong_token" });
  });
});

describe("Worker", needsPython, () => {
  it.each([
    ["an empty text", { text: "" }, "invalid_input"],
    ["neither text nor messages", { params: {} }, "invalid_input"],
    ["text together with messages", { text: "a", messages: [{ role: "user", content: "a" }] }, "invalid_input"],
    ["a system message", { messages: [{ role: "system", content: "a" }] }, "invalid_input"],
    ["an unknown field", { text: "a", persona: "b" }, "invalid_input"],
    ["a text of 2,001 characters", { text: "あ".repeat(2_001) }, "too_long"],
    ["a text longer than the ticket allows", { text: "あ".repeat(1_001) }, "too_long"],
  ])("rejects %s", async (_name, input, code) => {
    const session = await (await modelSessions(planModels.free, cloud, outputs))();
    const job = await runJob(session, { ...input, ticket: session.ticket });
    expect(job.status).toBe("FAILED");
    expect(JSON.parse(job.error)).toEqual({ error: { code, message: expect.any(String), retryable: false } });
  });

  it("rejects a ticket for another model with the code ticket_wrong_model", async () => {
    const [free, paid] = await Promise.all([
      apiOf("free").session(),
      modelSessions(planModels.paid, cloud, outputs).then((open) => open()),
    ]);
    const talk = allOf(chat({ ...paid, ticket: free.ticket }, { text: "こんばんは" }));
    await expect(talk).rejects.toThrow(ApiProblem);
    await expect(talk).rejects.toMatchObject({ code: "ticket_wrong_model" });
  });
});

describe("Demo page", { ...needsBrowser, timeout: 60_000 }, () => {
  it("lets a free customer sign in, chat and sign out", async () => {
    const browser = await launchBrowser();
    try {
      const tab = await browser.newPage({ locale: "ja-JP", viewport: { width: 1280, height: 800 } });
      await tab.goto(cloud.pageUrl);
      await tab.getByRole("button", { name: "サインインして入る" }).click();
      await tab.waitForURL(/\/login/);
      await tab.getByRole("button", { name: /^free/ }).click();
      await tab.locator("#back-room > summary").click();
      await tab.getByLabel("ママに話しかける").fill("こんばんは");
      await tab.keyboard.press("Enter");
      await tab.getByText(`${planModels.free} local-1`).waitFor();
      expect(await tab.locator(".bubble.assistant").last().textContent()).toContain("あら、いらっしゃい。");
      expect(await tab.locator("#who").textContent()).toBe("free@example.com");
      expect(await tab.locator("#calls").textContent()).toContain("POST /auth/session → 200");
      await tab.locator("#leave").click();
      await tab.getByRole("button", { name: "サインインして入る" }).waitFor();
    } finally {
      await browser.close();
    }
  });
});

describe("API reference", { ...needsBrowser, timeout: 60_000 }, () => {
  it("calls the API, the relay and a job API from the rendered page", async () => {
    const browser = await launchBrowser();
    try {
      const tab = await browser.newPage({ locale: "ja-JP", viewport: { width: 1280, height: 900 } });
      const errors: string[] = [];
      await tab.goto(cloud.pageUrl);
      await tab.getByRole("button", { name: "サインインして入る" }).click();
      await tab.waitForURL(/\/login/);
      await tab.getByRole("button", { name: /^free/ }).click();
      await tab.getByLabel("ママに話しかける").waitFor();
      tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await tab.locator("#back-room > summary").click();
      await tab.getByRole("link", { name: "API reference" }).click();
      const call = async (operation: string, fill?: (block: Locator) => Promise<void>) => {
        const block = tab.locator(`[id$="-${operation}"]`);
        await block.locator(".opblock-summary-control").click();
        await fill?.(block);
        await block.getByRole("button", { name: "Execute" }).click();
        const status = block.locator(".live-responses-table .response .response-col_status").first();
        await status.waitFor();
        return (await status.textContent())?.trim();
      };
      expect(await call("readPlan")).toBe("200");
      expect(await call("chat")).toBe("200");
      expect(await call("listModels")).toBe("401");
      expect(errors.filter((text) => !text.includes("status of 401"))).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

describe("openapi.json", () => {
  const operations = Object.entries(openApi().paths).flatMap(([path, item]) =>
    (["get", "post"] as const).flatMap((method) => (item[method] ? [{ method: method.toUpperCase(), path }] : [])),
  );

  // The filter omits the paths of RunPod's job API. tests/documentedAnswers.ts compares each answer with the document.
  it.each(operations.filter(({ path }) => /^\/(auth|billing|webhook|chat)\b/.test(path)))(
    "documents the status, the content type and the body of every refusal of $method $path",
    async ({ method, path }) => {
      const url = (path.startsWith("/chat") ? outputs.relayUrl : outputs.apiUrl) + path.replace("{id}", "chat-0001");
      const headers = { authorization: `Bearer ${await idTokenOf("free")}`, "content-type": "application/json" };
      const bodies = ["{", '{"unknown":1}', `{"text":"${"x".repeat(300_000)}"}`, "x".repeat(11 * 1024 * 1024)];
      const requests: RequestInit[] = [{}, { headers: { authorization: "Bearer forged" } }];
      if (method === "POST") requests.push(...bodies.map((body) => ({ headers, body })));
      for (const request of requests) await (await fetch(url, { method, ...request })).arrayBuffer();
      expectDocumentedAnswers(requests.length);
    },
  );
});

describe("Local services", () => {
  it("refuse requests with a host name other than loopback (DNS rebinding)", async () => {
    const { aws, runpod, stripe, pageUrl } = cloud;
    const { apiUrl, relayUrl, signIn } = outputs;
    const urls = [pageUrl, `${pageUrl}/events`, apiUrl, relayUrl, signIn.url, cloud.jwksUrl(signIn.issuer)];
    for (const url of [...urls, runpod.url, stripe?.url, ...Object.values(aws.endpoints)]) {
      expect([url, await statusWithHost(String(url), "evil.example")]).toEqual([url, 403]);
    }
  });
});

import { readFileSync, statSync, utimesSync } from "node:fs";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { afterEach, describe, expect, it } from "vitest";
import type { PageConfig } from "../../../local/page/config";
import { type PageOptions, startPage } from "../../../local/page/page";
import { PanelRefusal } from "../../../local/page/stripePanel";
import { Events } from "../../../local/support/events";
import type { Listening } from "../../../local/support/http";
import { PortInUseError } from "../../../local/support/portInUse";
import { fakeCandidates, fakeModels, fakePanel } from "./fakes";

const config: PageConfig = {
  apiUrl: "http://localhost:4110",
  relayUrl: "http://localhost:4210",
  inference: { phi3: "http://localhost:4130/v2/phi3" },
  auth: {
    url: "http://localhost:4102",
    clientId: "client1",
    issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Test",
    redirectUri: "http://localhost:4100/callback",
    logoutUri: "http://localhost:4100/",
    scopes: ["openid", "email"],
  },
  offers: [{ plan: "paid", name: "常連プラン", price: { amount: 980, currency: "jpy", interval: "month" } }],
  waitLimitMs: 180_000,
  stack: "start",
  canned: false,
};

const running: Listening[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function page(options: Partial<PageOptions> = {}) {
  const events = new Events();
  const none = {
    stripe: () => undefined,
    row: async () => undefined,
    models: () => undefined,
    candidates: () => undefined,
  };
  const server = await startPage({ port: 0, events, config: () => config, ...none, ...options });
  running.push(server);
  return { events, server };
}

describe("page server", () => {
  it("serves the page at / and at /callback", async () => {
    const { server } = await page();
    const [root, callback] = await Promise.all(
      ["/", "/callback?code=1&state=2"].map(async (path) => (await fetch(server.url + path)).text()),
    );
    expect(root).toContain('<script src="/app.js"');
    expect(callback).toBe(root);
    const script = await fetch(`${server.url}/app.js`);
    expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(await script.text()).toContain("/auth/guest");
    const style = await fetch(`${server.url}/style.css`);
    expect(style.headers.get("content-type")).toBe("text/css; charset=utf-8");
    const icon = await fetch(`${server.url}/favicon.ico`);
    expect(icon.headers.get("content-type")).toBe("image/svg+xml");
    expect((await fetch(`${server.url}/nothing`)).status).toBe(404);
  });

  it("allows only scripts from its own origin and forbids caching", async () => {
    const { server } = await page();
    const { headers } = await fetch(server.url);
    expect(headers.get("cache-control")).toBe("no-store");
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
  });

  it("returns 503 for the configuration until the Pulumi program has been evaluated", async () => {
    let current: PageConfig | undefined;
    const { server } = await page({ config: () => current });
    const early = await fetch(`${server.url}/config.json`);
    expect(early.status).toBe(503);
    expect(await early.text()).toContain("still being evaluated");
    current = config;
    expect(await (await fetch(`${server.url}/config.json`)).json()).toEqual(config);
  });

  it("streams past and new events until the server is closed", async () => {
    const { events, server } = await page();
    events.emit({ source: "cognito", summary: "before" });
    const response = await fetch(`${server.url}/events`);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body
      ?.pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader();
    const next = async () => JSON.parse((await reader?.read())?.value?.data ?? "null") as unknown;
    expect(await next()).toMatchObject({ source: "cognito", summary: "before" });
    events.emit({ source: "http-api", summary: "POST /auth/guest → 200", durationMs: 12 });
    expect(await next()).toMatchObject({ source: "http-api", summary: "POST /auth/guest → 200", durationMs: 12 });
    await server.close();
    expect(await reader?.read()).toEqual({ done: true, value: undefined });
  });

  it("fails to start when its port is in use", async () => {
    const { server } = await page();
    await expect(page({ port: server.port })).rejects.toThrow(PortInUseError);
  });
});

describe("the scripts of the page", () => {
  const packed = "client/dist/index.mjs";

  it.each(["/app.js", "/reference/page.js"])(
    "%s contains the client file that npm packs, and no source file of the client",
    async (path) => {
      const { server } = await page();
      const script = await (await fetch(server.url + path)).text();
      const sources = sourcesOf(script);
      const ofClient = Object.keys(sources).filter((source) => source.startsWith("../../client/"));
      expect(ofClient).toEqual([`../../${packed}`]);
      expect(sources[`../../${packed}`]).toBe(readFileSync(packed, "utf8"));
      const { exports } = JSON.parse(readFileSync("client/package.json", "utf8")) as PackageJson;
      expect(`client/${exports["."].default.slice(2)}`).toBe(packed);
    },
  );

  it("contain a new build of the client after its source has changed", async () => {
    await page();
    const builtAt = statSync(packed).mtimeMs;
    utimesSync("client/index.ts", new Date(), new Date());
    await page();
    expect(statSync(packed).mtimeMs).toBeGreaterThan(builtAt);
  });
});

interface PackageJson {
  exports: { ".": { default: string } };
}

/** Text of each source file, by its path in the script's source map. */
function sourcesOf(script: string): Record<string, string> {
  const [, map = ""] = /sourceMappingURL=data:application\/json;base64,(\S+)/.exec(script) ?? [];
  const { sources, sourcesContent } = JSON.parse(Buffer.from(map, "base64").toString()) as {
    sources: string[];
    sourcesContent: string[];
  };
  return Object.fromEntries(sources.map((source, index) => [source, sourcesContent[index] ?? ""]));
}

describe("routes of the developer's panel", () => {
  const json = { "content-type": "application/json" };
  const post = (url: string, body: unknown, headers: Record<string, string> = json) =>
    fetch(url, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
  const said = async (response: Response) => ({ status: response.status, body: await response.json() });

  it("control the Stripe double and return its clock and switches", async () => {
    const panel = fakePanel();
    const { server } = await page({ stripe: () => panel });
    const actions = {
      advance: { seconds: 86_400 },
      "fail-next-renewal": { userId: "user-1" },
      "mend-card": { userId: "user-1" },
      dispute: { userId: "user-1" },
      "close-dispute": { userId: "user-1", outcome: "lost" },
      refund: { userId: "user-1" },
      switch: { name: "hold", on: true },
    };
    for (const [action, body] of Object.entries(actions)) {
      expect((await post(`${server.url}/stripe/${action}`, body)).status).toBe(200);
    }
    expect(panel.calls).toEqual([
      "advance 86400",
      "failNextRenewal user-1",
      "mendCard user-1",
      "dispute user-1",
      "closeDispute user-1 lost",
      "refund user-1",
      "setSwitch hold true",
    ]);
    const state = await said(await fetch(`${server.url}/stripe`));
    expect(state).toEqual({ status: 200, body: { now: panel.now(), switches: panel.switches() } });
    expect(panel.switches().hold).toBe(true);
  });

  it("return a customer's row, or null when the customer has no row", async () => {
    const rows: Record<string, Record<string, unknown>> = { "user-1": { user_id: "user-1", plan: "paid" } };
    const { server } = await page({ row: async (userId) => rows[userId] });
    expect(await said(await fetch(`${server.url}/row?user=user-1`))).toEqual({
      status: 200,
      body: { row: { user_id: "user-1", plan: "paid" } },
    });
    expect(await (await fetch(`${server.url}/row?user=user-2`)).json()).toEqual({ row: null });
    expect((await fetch(`${server.url}/row`)).status).toBe(400);
  });

  it("reject requests from other origins", async () => {
    const panel = fakePanel();
    const { server } = await page({ stripe: () => panel, row: async () => ({ plan: "paid" }) });
    const refused = { status: 403, body: { error: { message: "Only the page itself may call this route." } } };
    const url = `${server.url}/stripe/refund`;
    const body = { userId: "user-1" };
    for (const origin of ["https://evil.example", "http://localhost:5173", "null"]) {
      expect(await said(await post(url, body, { ...json, origin }))).toEqual(refused);
      expect(await said(await fetch(`${server.url}/row?user=user-1`, { headers: { origin } }))).toEqual(refused);
    }
    // A form on another site can send this content type without a CORS preflight.
    expect((await post(url, body, { "content-type": "text/plain" })).status).toBe(415);
    expect(panel.calls).toEqual([]);
    expect((await post(url, body, { ...json, origin: server.url })).status).toBe(200);
  });

  it("return the reason when an action is invalid or fails", async () => {
    const panel = fakePanel({
      async refund() {
        throw new PanelRefusal("noPayment", "This customer has paid nothing yet.");
      },
    });
    const { server } = await page({ stripe: () => panel });
    const message = async (action: string, body: unknown) => said(await post(`${server.url}/stripe/${action}`, body));
    const problem = (status: number, text: string) => ({ status, body: { error: { message: text } } });
    expect(await message("refund", { userId: "user-1" })).toEqual({
      status: 409,
      body: { error: { message: "This customer has paid nothing yet.", reason: "noPayment" } },
    });
    expect(await message("advance", { seconds: -1 })).toEqual(problem(400, "The body is not valid: seconds."));
    expect(await message("switch", { name: "explode", on: true })).toEqual(
      problem(400, "The body is not valid: name."),
    );
    expect(await message("refund", "{")).toEqual(problem(400, "The body is not JSON."));
    expect(await message("toString", {})).toEqual(problem(404, "There is no action toString."));
    expect(panel.calls).toEqual([]);
  });

  it("switch the faults of RunPod and of the external LLMs", async () => {
    const models = fakeModels();
    const { server } = await page({ models: () => models });
    expect((await post(`${server.url}/models/runpod`, { name: "noGpus", on: true })).status).toBe(200);
    const { status, body } = await said(await post(`${server.url}/models/llm`, { name: "openai", fault: "silent" }));
    expect(status).toBe(200);
    expect(body).toMatchObject({ runpod: { noGpus: true }, llms: { openai: "silent", anthropic: "none" } });
    expect(await (await fetch(`${server.url}/models`)).json()).toEqual(body);
    expect(await said(await post(`${server.url}/models/llm`, { name: "gemini", fault: "silent" }))).toMatchObject({
      status: 400,
    });
    const foreign = { ...json, origin: "https://evil.example" };
    expect((await post(`${server.url}/models/runpod`, { name: "crash", on: true }, foreign)).status).toBe(403);
    expect(models.state().runpod.crash).toBe(false);
  });

  it("change a candidate's share, but refuse a share above 100 and requests from other origins", async () => {
    const candidates = fakeCandidates();
    const { server } = await page({ candidates: () => candidates });
    const share = `${server.url}/candidates/share?user=user-1`;
    const { status, body } = await said(await post(share, { model: "mistral", share: 25 }));
    expect(status).toBe(200);
    expect(body).toMatchObject({ candidates: [{ candidate: { model: "mistral", share: 25 } }] });
    expect(await said(await post(share, { model: "mistral", share: 101 }))).toMatchObject({ status: 400 });
    const foreign = { ...json, origin: "https://evil.example" };
    expect((await post(`${server.url}/candidates/abort`, { model: "mistral" }, foreign)).status).toBe(403);
    expect(candidates.calls).toEqual(["share mistral 25"]);
  });

  it("return 404 when billing uses real Stripe", async () => {
    const { server } = await page();
    const nothing = {
      status: 404,
      body: { error: { message: "There is no Stripe double, because billing uses real Stripe." } },
    };
    expect(await said(await fetch(`${server.url}/stripe`))).toEqual(nothing);
    expect(await said(await post(`${server.url}/stripe/refund`, { userId: "user-1" }))).toEqual(nothing);
  });
});

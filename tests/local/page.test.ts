import { EventSourceParserStream } from "eventsource-parser/stream";
import { afterEach, describe, expect, it } from "vitest";
import { Events } from "../../local/events";
import { type Listening, PortInUseError } from "../../local/http";
import type { PageConfig } from "../../local/page/config";
import { startPage } from "../../local/page/page";

const config: PageConfig = {
  apiUrl: "http://localhost:4110",
  auth: {
    url: "http://localhost:4102",
    clientId: "client1",
    redirectUri: "http://localhost:4100/callback",
    logoutUri: "http://localhost:4100/",
    scopes: ["openid", "email"],
  },
  stack: "start",
  inProcess: false,
};

const running: Listening[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function page(current: () => PageConfig | undefined = () => config) {
  const events = new Events();
  const server = await startPage({ port: 0, events, config: current });
  running.push(server);
  return { events, server };
}

describe("the page's server", () => {
  it("serves one document at / and at the sign-in's callback, and what it needs", async () => {
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
    expect((await fetch(`${server.url}/nothing`)).status).toBe(404);
  });

  it("lets the browser run only its own script, and keep nothing", async () => {
    const { server } = await page();
    const { headers } = await fetch(server.url);
    expect(headers.get("cache-control")).toBe("no-store");
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
  });

  it("answers 503 in a few words until the program has been evaluated, then its outputs", async () => {
    let current: PageConfig | undefined;
    const { server } = await page(() => current);
    const early = await fetch(`${server.url}/config.json`);
    expect(early.status).toBe(503);
    expect(await early.text()).toContain("still being evaluated");
    current = config;
    expect(await (await fetch(`${server.url}/config.json`)).json()).toEqual(config);
  });

  it("streams what happened and what happens, and ends the stream when it closes", async () => {
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

  it("says which port is taken and what to do", async () => {
    const { server } = await page();
    const second = startPage({ port: server.port, events: new Events(), config: () => undefined });
    await expect(second).rejects.toThrow(PortInUseError);
  });
});

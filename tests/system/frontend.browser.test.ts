import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { customers } from "../../local/cloud/customers";
import type { FrontendConfig } from "../../local/page/config";
import { launchBrowser, needsBrowser } from "../browser";

/** Fields of the output of `npm start -- --json` that this test reads. */
interface Ready {
  relayUrl: string;
  inference: { phi3: string };
  frontend: { url: string; variables: Record<string, string> };
}

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-frontend-"));
let started: ChildProcess | undefined;
let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});
afterEach(stop);
afterAll(async () => {
  await browser?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Starts the local cloud for a frontend. Returns the printed object. */
async function start(frontend: string): Promise<Ready> {
  const options = ["--dir", join(dir, "state"), "--free-ports", "--no-python", "--json", "--frontend", frontend];
  const child = spawn(process.execPath, ["cli/run.cjs", "local/commands/start.ts", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  started = child;
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as Ready;
  throw new Error("npm start ended before it was ready");
}

async function stop(): Promise<void> {
  if (!started || started.exitCode !== null) return;
  const exited = once(started, "exit");
  started.kill("SIGINT");
  await exited;
}

/** Serves an empty page at a separate origin, as a development server does. Returns the origin. */
async function serveEmptyPage(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html>");
  }).unref();
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

interface Init {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Calls `fetch` in the page, so the browser applies CORS. Returns the status 0 when CORS forbids the call. */
function fetchFrom(page: Page, url: string, init: Init = {}): Promise<{ status: number; body: string }> {
  return page.evaluate(
    async ([target, options]) => {
      try {
        const response = await fetch(target, options);
        return { status: response.status, body: await response.text() };
      } catch (error) {
        return { status: 0, body: String(error) };
      }
    },
    [url, init] as const,
  );
}

/** Signs in with authorization code and PKCE from the page, and returns the ID token. */
async function signIn(page: Page, { auth }: FrontendConfig, email: string): Promise<string> {
  const verifier = "a-verifier-of-at-least-forty-three-characters-1234";
  const challenge = await page.evaluate(async (text) => {
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return btoa(String.fromCharCode(...new Uint8Array(hash)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  }, verifier);
  const query = new URLSearchParams({
    client_id: auth.clientId,
    response_type: "code",
    redirect_uri: auth.redirectUri,
    scope: auth.scopes.join(" "),
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  await page.goto(`${auth.url}/oauth2/authorize?${query}`);
  await page.getByRole("button", { name: email }).click();
  await page.waitForURL(`${auth.redirectUri}?**`);
  const { status, body } = await fetchFrom(page, `${auth.url}/oauth2/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: auth.clientId,
      redirect_uri: auth.redirectUri,
      code: new URL(page.url()).searchParams.get("code") ?? "",
      code_verifier: verifier,
    }).toString(),
  });
  expect(status).toBe(200);
  return JSON.parse(body).id_token;
}

/**
 * Makes every call of a frontend from the page's origin: signs in, chats, reads the plan, opens Checkout and signs out.
 */
async function useEverything(page: Page, config: FrontendConfig, ready: Ready): Promise<void> {
  const { apiUrl } = config;
  const [customer] = customers;
  if (!customer) throw new Error("There is no seeded customer");
  const authorization = `Bearer ${await signIn(page, config, customer.email)}`;
  const json = { "content-type": "application/json" };

  const session = await fetchFrom(page, `${apiUrl}/auth/session`, { method: "POST", headers: { authorization } });
  const { inference } = JSON.parse(session.body);
  const chat = await fetchFrom(page, `${inference.url}/chat`, {
    method: "POST",
    headers: { ...json, authorization: inference.authorization, accept: "text/event-stream" },
    body: JSON.stringify({ id: "chat-0001", text: "こんばんは" }),
  });
  expect(chat.body).toContain('"done":true');
  const refused = await fetchFrom(page, `${inference.url}/chat`, { method: "POST", headers: json, body: "{}" });
  expect(refused.status).toBe(400);

  const plan = await fetchFrom(page, `${apiUrl}/billing/plan`, { headers: { authorization } });
  expect(JSON.parse(plan.body)).toMatchObject({ plan: "free" });
  const checkout = await fetchFrom(page, `${apiUrl}/billing/checkout`, {
    method: "POST",
    headers: { ...json, authorization },
    body: JSON.stringify({ plan: "paid" }),
  });
  expect(checkout.status).toBe(200);
  expect((await fetchFrom(page, `${apiUrl}/billing/plan`)).status).toBe(401);

  const job = { method: "POST", headers: { ...json, authorization: "Bearer unknown" }, body: "{}" };
  expect((await fetchFrom(page, `${ready.inference.phi3}/run`, job)).status).toBe(401);

  await page.goto(`${config.auth.url}/logout?client_id=${config.auth.clientId}&logout_uri=${config.auth.logoutUri}`);
  expect(page.url()).toBe(config.auth.logoutUri);
}

describe("npm start -- --frontend", needsBrowser, () => {
  it("serves a folder whose page signs in, chats and pays from a separate origin", async () => {
    const folder = join(dir, "site");
    mkdirSync(join(folder, "assets"), { recursive: true });
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>Own frontend</title>");
    writeFileSync(join(folder, "assets/app.js"), "export {};");
    const ready = await start(folder);
    const page = await browser.newPage();
    await page.goto(ready.frontend.url);
    expect(await page.title()).toBe("Own frontend");
    const script = await fetch(`${ready.frontend.url}/assets/app.js`);
    expect(script.headers.get("content-type")).toContain("javascript");
    const config = (await (await fetch(`${ready.frontend.url}/config.json`)).json()) as FrontendConfig;
    const { VITE_API_URL, VITE_SIGN_IN } = ready.frontend.variables;
    const { redirectUri, logoutUri, ...signIn } = config.auth;
    expect({ VITE_API_URL, signIn: JSON.parse(VITE_SIGN_IN ?? "") }).toEqual({ VITE_API_URL: config.apiUrl, signIn });
    expect({ redirectUri, logoutUri }).toEqual({
      redirectUri: `${ready.frontend.url}/callback`,
      logoutUri: `${ready.frontend.url}/`,
    });
    await useEverything(page, config, ready);
  });

  it("allows the origin of a frontend that another program serves", async () => {
    const [site, otherSite] = await Promise.all([serveEmptyPage(), serveEmptyPage()]);
    const ready = await start(site);
    const { variables } = ready.frontend;
    const page = await browser.newPage();
    await page.goto(site);
    const config = {
      apiUrl: variables.VITE_API_URL ?? "",
      auth: {
        ...JSON.parse(variables.VITE_SIGN_IN ?? ""),
        redirectUri: `${site}/callback`,
        logoutUri: `${site}/`,
      },
    };
    await useEverything(page, config, ready);
    const other = await browser.newPage();
    await other.goto(otherSite);
    expect((await fetchFrom(other, `${config.apiUrl}/billing/plan`)).status).toBe(0);
  });
});

import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Events } from "../../local/events";
import { serve } from "../../local/http";
import type { PageConfig } from "../../local/page/config";
import { startPage } from "../../local/page/page";
import { launchBrowser, noBrowser } from "../browser";
import { doneItem, type JobScript, sessionFor, startHostedDomain, startJobApi } from "../client/fakes";

/** Waits for what a busy machine shows later. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });

describe.skipIf(noBrowser)("the page in a browser", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  /** The page against fakes, opened by a Japanese visitor unless told. */
  async function visit(script: JobScript, options: BrowserContextOptions & { evaluated?: boolean } = {}) {
    const { evaluated = true, ...context } = options;
    const jobs = await startJobApi(script);
    const events = new Events();
    let config: PageConfig | undefined;
    const page = await startPage({ port: 0, events, config: () => config });
    const redirectUri = `${page.url}/callback`;
    const domain = await startHostedDomain({ clientId: "client1", redirectUri });
    const api = await startApi(jobs.url);
    const auth = { url: domain.url, clientId: "client1", redirectUri, logoutUri: `${page.url}/`, scopes: ["openid"] };
    const evaluate = () => {
      config = { apiUrl: api.url, auth, stack: "start", inProcess: true };
    };
    if (evaluated) evaluate();
    const visitor = await browser.newContext({ locale: "ja-JP", ...context });
    const tab = await visitor.newPage();
    const complaints: string[] = [];
    tab.on("pageerror", (error) => complaints.push(String(error)));
    await tab.goto(page.url);
    return {
      tab,
      jobs,
      events,
      evaluate,
      complaints,
      async [Symbol.asyncDispose]() {
        await visitor.close();
        await Promise.all([page.close(), jobs.close(), domain.close(), api.close()]);
      },
    };
  }

  const say = async (tab: Page, text: string) => {
    await tab.getByLabel(/ママに話しかける|Say something/).fill(text);
    await tab.keyboard.press("Enter");
  };

  it("waits until the program has been evaluated, then opens the door by itself", async () => {
    await using visited = await visit({}, { evaluated: false });
    await visited.tab.getByText("ただいま開店の支度をしています…").waitFor();
    visited.evaluate();
    await visited.tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
  });

  it("lets a guest in, fills Mama's bubble as the text comes, and shows the route and the calls behind", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら、" }] }] });
    const { tab, jobs, events } = visited;
    events.emit({ source: "http-api", summary: "POST /auth/guest → 200", durationMs: 12 });
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    expect(await tab.locator("#starters").isVisible()).toBe(true);
    await say(tab, "こんばんは");
    expect(await tab.locator("#starters").isVisible()).toBe(false);

    const reply = tab.locator(".bubble.assistant");
    await eventually(() => reply.textContent()).toBe("あら、");
    expect(await tab.getByLabel("ママに話しかける").isDisabled()).toBe(true);
    jobs.push({ status: "IN_PROGRESS", items: [{ delta: "いらっしゃい。" }] });
    await eventually(() => reply.textContent()).toBe("あら、いらっしゃい。");
    jobs.push({ status: "COMPLETED", items: [doneItem("あら、いらっしゃい。")] });
    await eventually(() => reply.textContent()).toContain("phi3 2026-11-01");

    expect(jobs.inputs[0]?.messages).toEqual([{ role: "user", content: "こんばんは" }]);
    expect(await tab.locator("#endpoint").textContent()).toBe(new URL(jobs.url).host);
    expect(await tab.locator("#plan").textContent()).toBe("free");
    expect(await tab.locator("#ticket").textContent()).toMatch(/^あと \d+ 秒$/);
    expect(await tab.locator("#calls li").textContent()).toMatch(/^http-api12 ms[\d:]{8}POST \/auth\/guest → 200$/);
    expect(visited.complaints).toEqual([]);
  });

  it("sends the conversation so far with the next message", async () => {
    await using visited = await visit({ stream: [{ status: "COMPLETED", items: [doneItem("あら。")] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByRole("button", { name: "こんばんは" }).click();
    await tab.getByText("あら。").waitFor();
    await say(tab, "元気？");
    await eventually(() => jobs.inputs.length).toBe(2);
    expect(jobs.inputs[1]?.messages).toEqual([
      { role: "user", content: "こんばんは" },
      { role: "assistant", content: "あら。" },
      { role: "user", content: "元気？" },
    ]);
  });

  it("signs a customer in through the hosted page, keeps them over a reload, and signs them out", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    await tab.getByRole("button", { name: "サインインして入る" }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    expect(new URL(tab.url()).pathname + new URL(tab.url()).search).toBe("/");
    expect(await tab.locator("#why").textContent()).toBe("no_record");
    await tab.reload();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    await tab.getByRole("button", { name: "サインアウト" }).click();
    await tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    expect(await tab.evaluate(() => sessionStorage.length)).toBe(0);
  });

  it("tells a problem kindly in the visitor's language, and sends again on request", async () => {
    const error = '{"error":{"code":"overloaded","message":"Too busy at the moment.","retryable":true}}';
    await using visited = await visit(
      { stream: [{ status: "FAILED" }], status: { status: "FAILED", error } },
      { locale: "en-GB" },
    );
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "Continue as guest" }).click();
    await say(tab, "Good evening");
    await tab.getByText("The bar is full. Wait a moment and try again.").waitFor();
    await tab.getByRole("button", { name: "日本語" }).click();
    await tab.getByText("ただいま満席です。少し待って、もう一度どうぞ。").waitFor();
    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await eventually(() => jobs.inputs.length).toBe(2);
    await tab.getByText("ただいま満席です。").waitFor();
    expect(await tab.locator(".bubble.user").count()).toBe(1);
  });

  it("stops a reply on request and cancels its job", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "長い話" }] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "昔話を聞かせて");
    await tab.getByText("長い話").waitFor();
    await tab.getByRole("button", { name: "止める" }).click();
    await tab.getByText("ここで止めました。").waitFor();
    expect(jobs.calls).toContain("POST /cancel/job-1-u1");
  });

  it("cancels the reply of a guest who leaves, and begins anew for the next", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "長い話" }] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "昔話を聞かせて");
    await tab.getByText("長い話").waitFor();
    await tab.getByRole("button", { name: "席を立つ" }).click();
    await eventually(() => jobs.calls).toContain("POST /cancel/job-1-u1");
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByRole("button", { name: "こんばんは" }).waitFor();
    expect(await tab.locator("#talk li").count()).toBe(0);
    expect(await tab.getByLabel("ママに話しかける").isEnabled()).toBe(true);
  });
});

/** The auth and billing API of one free customer, and of guests. */
async function startApi(jobsUrl: string) {
  const app = new Hono();
  app.use(cors({ origin: "*", allowHeaders: ["authorization"] }));
  app.use("/auth/session", async (c, next) =>
    c.req.header("authorization") ? next() : c.json({ message: "Unauthorized" }, 401),
  );
  const session = () => sessionFor(jobsUrl);
  app.post("/auth/guest", (c) => c.json(session()));
  app.post("/auth/session", (c) => c.json({ ...session(), user_id: "user-1" }));
  app.get("/billing/plan", (c) =>
    c.json({
      user_id: "user-1",
      plan: "free",
      stripe_status: null,
      expires_at: null,
      updated_at: null,
      reason: "no_record",
      limits: session().limits,
    }),
  );
  return serve("API", 0, app.fetch);
}

import { setTimeout } from "node:timers/promises";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlanInfo } from "../../../client";
import type { PageConfig } from "../../../local/page/config";
import { type PageOptions, startPage } from "../../../local/page/page";
import { PanelRefusal } from "../../../local/page/stripePanel";
import { Events } from "../../../local/support/events";
import { launchBrowser, needsBrowser } from "../../browser";
import { doneItem, ISSUER, type JobScript, sessionFor, startHostedDomain, startJobApi } from "../../client/fakes";
import { type RelayScript, relayDone, startRelay } from "../../client/relayServer";
import { type FakeCustomer, fakeCandidates, fakeModels, fakePanel, startApi } from "./fakes";

const offers: PageConfig["offers"] = [
  { plan: "paid", name: "スナック美砂樹 常連プラン", price: { amount: 980, currency: "jpy", interval: "month" } },
  { plan: "vip", name: "スナック美砂樹 VIPプラン", price: { amount: 2_980, currency: "jpy", interval: "month" } },
];

/** Time between two pieces of a reply. A model writes 100 pieces per second. */
const PACE_MS = 10;

/** Polls with a long timeout for busy machines. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });

describe("page in a browser", { ...needsBrowser, timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  /**
   * Opens the page with fake services, in Japanese by default. If a relay is given, sessions send their chats to the
   * relay.
   */
  async function visit(
    script: JobScript,
    options: BrowserContextOptions &
      Partial<Pick<PageOptions, "stripe" | "row" | "models" | "candidates">> &
      VisitOptions = {},
  ) {
    const { evaluated = true, stripe = () => undefined, row = async () => undefined, ...others } = options;
    const { models = () => undefined, candidates = () => undefined } = others;
    const { waitLimitMs = 180_000, expiresIn = 3_600, ...rest } = others;
    const { customer = { atStripe: {}, inRow: {} }, relay: relayScript, ...context } = rest;
    const jobs = await startJobApi(script);
    const relay = await startRelay(relayScript ?? (() => {}));
    const events = new Events();
    let config: PageConfig | undefined;
    const page = await startPage({ port: 0, events, config: () => config, stripe, row, models, candidates });
    const redirectUri = `${page.url}/callback`;
    const domain = await startHostedDomain({ clientId: "client1", redirectUri, expiresIn });
    const session = () => (relayScript ? relay.session() : sessionFor(jobs.url));
    const api = await startApi(session, customer, `${page.url}/`);
    const auth = {
      url: domain.url,
      clientId: "client1",
      issuer: ISSUER,
      redirectUri,
      logoutUri: `${page.url}/`,
      scopes: ["openid"],
    };
    const evaluate = () => {
      config = {
        apiUrl: api.url,
        relayUrl: relay.url,
        inference: { phi3: jobs.url },
        auth,
        offers,
        waitLimitMs,
        stack: "start",
        canned: true,
      };
    };
    if (evaluated) evaluate();
    const visitor = await browser.newContext({ locale: "ja-JP", timezoneId: "Asia/Tokyo", ...context });
    const tab = await visitor.newPage();
    const complaints: string[] = [];
    tab.on("pageerror", (error) => complaints.push(String(error)));
    await tab.goto(page.url);
    return {
      tab,
      jobs,
      relay,
      api,
      domain,
      events,
      evaluate,
      complaints,
      async [Symbol.asyncDispose]() {
        await visitor.close();
        await Promise.all([page.close(), jobs.close(), relay.close(), domain.close(), api.close()]);
      },
    };
  }

  interface VisitOptions {
    evaluated?: boolean;
    customer?: FakeCustomer;
    relay?: RelayScript;
    waitLimitMs?: number;
    /** Seconds for which an ID token is valid. */
    expiresIn?: number;
  }

  const signIn = async (tab: Page) => {
    await tab.getByRole("button", { name: /サインインして入る|Sign in/ }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
  };

  const lastReply = (tab: Page) => tab.locator(".bubble.assistant").last();

  const openDrawer = async (tab: Page, tabName?: string) => {
    await tab.getByText("裏の仕掛け（開発用）").click();
    if (tabName) await tab.getByRole("tab", { name: tabName }).click();
  };

  /** Plans that the billing panel offers: name, button and price. */
  const offered = (tab: Page) =>
    tab
      .locator("#offers li")
      .evaluateAll((items) => items.map((item) => [...item.children].map(({ textContent }) => textContent)));

  const expectInViewport = async (element: Locator) => {
    const box = await element.boundingBox();
    const height = element.page().viewportSize()?.height ?? 0;
    expect(box?.y).toBeGreaterThanOrEqual(0);
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(height);
  };

  const say = async (tab: Page, text: string) => {
    await tab.getByLabel(/ママに話しかける|Say something/).fill(text);
    await tab.keyboard.press("Enter");
  };

  /** Opens a second tab of the same browser. */
  const openSecondTab = async (
    { tab }: Awaited<ReturnType<typeof visit>>,
    prepare?: (tab: Page) => Promise<unknown>,
  ) => {
    const second = await tab.context().newPage();
    await prepare?.(second);
    await second.goto(new URL("/", tab.url()).href);
    return second;
  };

  /**
   * Holds the tab's next requests to an API path. Returns two functions. One waits for a request, and the other
   * releases all requests.
   */
  const holdRequests = async (tab: Page, path: string) => {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    await tab.route(`**${path}`, async (route) => {
      if (route.request().method() !== "OPTIONS") held.resolve();
      await released.promise;
      await route.continue();
    });
    const release = async () => {
      const answered = tab.waitForResponse((response) => response.url().endsWith(path));
      released.resolve();
      await (await answered).finished();
      // The page reads answers in order. After this second answer, the page has read the first answer.
      await tab.evaluate(() => fetch("/config.json").then((response) => response.text()));
    };
    return { held: held.promise, release };
  };

  it("shows the sign-in buttons only after the Pulumi program has been evaluated", async () => {
    await using visited = await visit({}, { evaluated: false });
    await visited.tab.getByText("ただいま開店の支度をしています…").waitFor();
    visited.evaluate();
    await visited.tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
  });

  it("streams a guest's reply and shows the route and the backend calls", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "あら、" }] }] });
    const { tab, jobs, events } = visited;
    events.emit({ source: "http-api", summary: "POST /auth/guest → 200", durationMs: 12 });
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#starters").waitFor();
    await say(tab, "こんばんは");
    expect(await tab.locator("#starters").isVisible()).toBe(false);

    const reply = lastReply(tab);
    await eventually(() => reply.textContent()).toBe("あら、");
    jobs.push({ status: "IN_PROGRESS", items: [{ delta: "いらっしゃい。" }] });
    await eventually(() => reply.textContent()).toBe("あら、いらっしゃい。");
    jobs.push({ status: "COMPLETED", items: [doneItem("あら、いらっしゃい。")] });
    await eventually(() => tab.locator(".facts").textContent()).toContain("phi3 2026-11-01");
    expect(await tab.locator(".facts").isVisible()).toBe(false);

    await openDrawer(tab);
    expect(await tab.locator(".facts").isVisible()).toBe(true);
    expect(jobs.inputs[0]?.messages).toEqual([{ role: "user", content: "こんばんは" }]);
    expect(await tab.locator("#endpoint").textContent()).toBe(new URL(jobs.url).host);
    expect(await tab.locator("#plan").textContent()).toBe("無料");
    expect(await tab.locator("#ticket").textContent()).toMatch(/^あと \d+ 秒$/);
    expect(await tab.locator("#calls li").textContent()).toMatch(/^http-api12 ms[\d:]{8}POST \/auth\/guest → 200$/);
    expect(visited.complaints).toEqual([]);
  });

  it("sends the earlier messages with the next message", async () => {
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

  it("keeps a customer signed in after a reload until the customer signs out", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    await signIn(tab);
    expect(new URL(tab.url()).pathname + new URL(tab.url()).search).toBe("/");
    expect(await tab.locator("#why").textContent()).toMatch(/^まだお申し込みはありません。/);
    await tab.reload();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    const returned = tab.waitForEvent("load");
    await tab.getByRole("button", { name: "サインアウト" }).click();
    await returned;
    await tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    expect(await tab.evaluate(() => localStorage.getItem("snack-misaki.tokens.client1"))).toBeNull();
  });

  it("signs a customer out in every tab", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    await signIn(tab);
    const second = await tab.context().newPage();
    await second.goto(tab.url());
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
    await tab.getByRole("button", { name: "サインアウト" }).click();
    await second.getByRole("button", { name: "ゲストで入る" }).waitFor();
  });

  it("enters as the customer when another tab signs in while this tab enters as a guest", async () => {
    await using visited = await visit({});
    const second = await openSecondTab(visited);
    const { held, release } = await holdRequests(second, "/auth/guest");
    await second.getByRole("button", { name: "ゲストで入る" }).click();
    await held;
    await signIn(visited.tab);
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
    await release();
    expect(await second.locator("#who").textContent()).toBe("みさき@example.com");
  });

  it("stays at the entrance when the customer signs out in another tab while this tab enters", async () => {
    await using visited = await visit({});
    const second = await openSecondTab(visited);
    await signIn(visited.tab);
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
    const { held, release } = await holdRequests(second, "/auth/session");
    await second.reload();
    await held;
    await visited.tab.getByRole("button", { name: "サインアウト" }).click();
    await visited.tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    await release();
    expect(await second.getByRole("button", { name: "ゲストで入る" }).isVisible()).toBe(true);
    expect(await second.locator(".counter").isVisible()).toBe(false);
  });

  it.each([
    ["is cancelled", "error=access_denied&error_description=cancelled"],
    ["has a used code", "code=used"],
  ])("keeps the customer signed in, in every tab, when another tab's sign-in %s", async (_, answer) => {
    await using visited = await visit({});
    const { tab, domain } = visited;
    const second = await openSecondTab(visited);
    // The second tab stays at the hosted page while the customer signs in in the first tab.
    await second.route("**/oauth2/authorize*", (route) => route.fulfill({ body: "sign in" }));
    await second.getByRole("button", { name: "サインインして入る" }).click();
    await second.getByText("sign in").waitFor();
    const state = new URL(second.url()).searchParams.get("state");
    await signIn(tab);
    await second.goto(new URL(`/callback?${answer}&state=${state}`, tab.url()).href);
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
    expect(new URL(second.url()).pathname + new URL(second.url()).search).toBe("/");
    await tab.reload();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    expect(domain.refreshTokens.size).toBe(1);
  });

  it("keeps the customer signed in when a firewall answers 403 instead of the API", async () => {
    await using visited = await visit({});
    const { tab, domain } = visited;
    await signIn(tab);
    const headers = { "access-control-allow-origin": "*" };
    await tab.route("**/auth/session", (route) => route.fulfill({ status: 403, headers, body: "<html>" }));
    await tab.reload();
    await tab.getByText("お席の時間が切れました。もう一度お入りください。").waitFor();
    await tab.unroute("**/auth/session");
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    expect(domain.refreshTokens.size).toBe(1);
  });

  it("shows a note about canned replies when no Python worker exists", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    await signIn(tab);
    expect(await tab.locator("#notice").isVisible()).toBe(true);
    expect(await tab.locator("#notice").textContent()).toContain("決まったお返事だけをします");
  });

  it("shows an error in the visitor's language and can send the message again", async () => {
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

  it("cancels the job of a reply when the visitor stops the reply", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "長い話" }] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "昔話を聞かせて");
    await tab.getByText("長い話").waitFor();
    await tab.getByRole("button", { name: "止める" }).click();
    await tab.getByText("ここで止めました。").waitFor();
    expect(jobs.calls).toContain("POST /cancel/job-1-u1");
  });

  it("cancels the reply when a guest leaves, and begins an empty conversation for the next guest", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "長い話" }] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "昔話を聞かせて");
    await tab.getByText("長い話").waitFor();
    await tab.getByRole("button", { name: "席を立つ" }).click();
    await eventually(() => jobs.calls).toContain("POST /cancel/job-1-u1");
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByRole("button", { name: "こんばんは" }).waitFor();
    expect(await tab.locator("#talk li").allTextContents()).toEqual([expect.stringMatching(/^いらっしゃい。/)]);
  });

  /** Enters as a guest and sends a message over a relay. The test sends the relay's reply. */
  async function askRelay({ tab, relay }: Awaited<ReturnType<typeof visit>>) {
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await eventually(() => relay.chats.length).toBe(1);
    const [chat] = relay.chats;
    if (!chat) throw new Error("no chat arrived");
    return chat;
  }

  it("shows Mama's waiting sentence, then the second model's reply, its provider and its model", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    const reply = lastReply(tab);
    chat.send({ waiting: true, message: "いまお店を開けているところなの。" });
    await eventually(() => reply.textContent()).toBe("いまお店を開けているところなの。");
    expect(await reply.locator("[lang=ja]").count()).toBe(1);
    chat.send({ delta: "あ" }, { delta: "ら" });
    await eventually(() => reply.textContent()).toBe("あら");
    chat.send({ restart: true });
    await eventually(() => reply.textContent()).toBe("");
    expect(await reply.getAttribute("class")).toContain("waiting");
    chat.send({ delta: "いらっしゃい。" });
    await eventually(() => reply.textContent()).toBe("いらっしゃい。");
    chat.send({ ...relayDone("いらっしゃい。"), restarted: true });
    const facts = "anthropic · claude claude-2026-11-01 · 初めの一言 30 ms · 全体 90 ms · 途中で別のモデルに交代";
    await eventually(() => tab.locator(".facts").textContent()).toBe(facts);
    expect(visited.complaints).toEqual([]);
  });

  it("announces a reply's states to screen readers, but does not announce the text of the reply", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    await tab.evaluate(recordAnnouncements);
    const chat = await askRelay(visited);
    for (let piece = 0; piece < 20; piece++) chat.send({ delta: "あ" });
    chat.send({ restart: true });
    await tab.getByText("ママが初めから話し直しています。").waitFor({ state: "attached" });
    for (let piece = 0; piece < 20; piece++) chat.send({ delta: "い" });
    chat.send(relayDone("い".repeat(20)));
    await tab.getByText("ママのお返事が届きました。").waitFor({ state: "attached" });
    expect(await tab.evaluate(() => window.announced)).toEqual([
      "ママが話しています。",
      "ママが初めから話し直しています。",
      "ママのお返事が届きました。",
    ]);
  });

  it("keeps the partial text and offers a retry when the reply breaks off", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab, relay } = visited;
    const chat = await askRelay(visited);
    chat.send({ delta: "あら、" });
    await tab.getByText("あら、").waitFor();
    chat.response.destroy();
    await tab.getByText("ただいまお取り次ぎできません。").waitFor();
    const reply = lastReply(tab);
    expect(await reply.textContent()).toBe("あら、");
    expect(await reply.getAttribute("class")).toContain("broken");
    await tab.getByText("ここで途切れました。").waitFor();
    expect(await tab.locator("#progress").textContent()).toBe("お返事が届きませんでした。");
    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await eventually(() => relay.chats.length).toBe(2);
    expect(relay.chats[1]?.body.messages).toEqual([{ role: "user", content: "こんばんは" }]);
    expect(await tab.locator(".bubble.user").count()).toBe(1);
  });

  it.each<[string, (tab: Page) => Promise<unknown>]>([
    ["stops the reply", (tab) => tab.getByRole("button", { name: "止める" }).click()],
    ["goes to another page", (tab) => tab.goto("about:blank")],
    ["closes the tab", (tab) => tab.close()],
  ])("cancels the chat at the relay when the visitor %s", async (_, leave) => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab, relay } = visited;
    const chat = await askRelay(visited);
    chat.send({ delta: "長い話" });
    await tab.getByText("長い話").waitFor();
    await leave(tab);
    await eventually(() => relay.cancels).toMatchObject([{ id: chat.body.id, authorization: "Bearer ticket-1" }]);
    await chat.left;
  });

  it("cancels the chat when the visitor leaves the page before the first text", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { id } = (await askRelay(visited)).body;
    await visited.tab.goto("about:blank");
    await eventually(() => visited.relay.cancels.map((cancel) => cancel.id)).toEqual([id]);
  });

  it("shows the new plan and model after the customer pays in Checkout", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {} };
    await using visited = await visit({}, { customer });
    const { tab, api } = visited;
    await signIn(tab);
    expect(await tab.getByRole("button", { name: "プランの変更・解約・カード" }).isVisible()).toBe(false);
    api.calls.length = 0;
    await tab.getByRole("button", { name: "申し込む: スナック美砂樹 常連プラン" }).click();
    await tab.getByText("お申し込みありがとうございます。新しいプランの席をご用意しました。").waitFor();
    expect(tab.url()).toMatch(/^http:\/\/localhost:\d+\/$/);
    expect(await tab.locator("#plan").textContent()).toBe("常連");
    expect(await tab.locator("#model").textContent()).toBe("mistral");
    expect(await tab.locator("#dates").textContent()).toBe("次回のお支払い2026年12月23日");
    expect(await offered(tab)).toEqual([["スナック美砂樹 VIPプラン", "変更する", "月額 ￥2,980"]]);
    const calls = api.calls.filter((call) => !call.startsWith("OPTIONS"));
    expect(calls).toEqual(["POST /billing/checkout", "POST /billing/sync", "POST /auth/session"]);

    // A reload shows the plan without the message and without another sync.
    await tab.reload();
    await eventually(() => tab.locator("#plan").textContent()).toBe("常連");
    expect(await tab.locator("#billing-message").isVisible()).toBe(false);
    expect(api.calls.filter((call) => call === "POST /billing/sync").length).toBe(1);
    expect(visited.complaints).toEqual([]);
  });

  it("shows a change that the customer made in the portal", async () => {
    const subscription: Partial<PlanInfo> = {
      plan: "vip",
      stripe_status: "active",
      reason: "subscription",
      expires_at: "2026-12-23T00:00:00.000Z",
    };
    const customer: FakeCustomer = { inRow: subscription, atStripe: { ...subscription } };
    await using visited = await visit({}, { customer, locale: "en-GB" });
    const { tab } = visited;
    await signIn(tab);
    expect(await tab.locator("#dates").textContent()).toBe("Next paymentDecember 23, 2026");
    customer.atStripe.cancel_at = "2026-12-23T00:00:00.000Z";
    await tab.getByRole("button", { name: "Change, cancel, card" }).click();
    await tab.getByText("Your cancellation still stands.").waitFor();
    expect(await tab.locator("#dates").textContent()).toBe("Ends onDecember 23, 2026");
    await tab.getByRole("button", { name: "日本語" }).click();
    expect(await tab.locator("#dates").textContent()).toBe("解約日2026年12月23日");
  });

  it("lets a paid subscriber confirm vip in the customer portal", async () => {
    const subscription: Partial<PlanInfo> = { plan: "paid", stripe_status: "active", reason: "subscription" };
    const customer: FakeCustomer = { inRow: subscription, atStripe: { ...subscription } };
    await using visited = await visit({}, { customer });
    const { tab, api } = visited;
    await signIn(tab);
    await tab.getByRole("button", { name: "変更する: スナック美砂樹 VIPプラン" }).click();
    await tab.getByText("おかえりなさい。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("VIP");
    expect(await offered(tab)).toEqual([]);
    expect(api.calls).not.toContain("POST /billing/checkout");
  });

  it("shows the old plan at Checkout's success URL until the payment arrives", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {} };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    const { origin } = new URL(tab.url());
    await tab.goto(`${origin}/?checkout=cancelled`);
    await tab.getByText("お申し込みは取りやめになりました。お支払いは発生していません。").waitFor();

    await tab.goto(`${origin}/?checkout=success`);
    await tab.getByText("お支払いの確認に少しかかっています。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("無料");
    // The payment arrives.
    customer.atStripe = { plan: "paid", stripe_status: "active", reason: "subscription" };
    await tab.getByRole("button", { name: "最新の状態にする" }).click();
    await eventually(() => tab.locator("#plan").textContent()).toBe("常連");
    expect(await tab.locator("#model").textContent()).toBe("mistral");

    customer.syncDown = true;
    await tab.goto(`${origin}/?portal=return`);
    await tab.getByText("お支払いの状態を確かめられませんでした。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("常連");
  });

  it("offers only plans above the customer's plan", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: { plan: "paid", reason: "grant" } };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    expect(await tab.locator("#why").textContent()).toBe("お店からのご招待です。どうぞごゆっくり。");
    expect(await offered(tab)).toEqual([["スナック美砂樹 VIPプラン", "変更する", "月額 ￥2,980"]]);
    customer.inRow = { plan: "paid", stripe_status: "dormant", reason: "sleeping_beauty" };
    await tab.reload();
    await eventually(() => tab.locator("#why").textContent()).toBe("ご契約の状態をお店で確かめています。");
  });

  it("shows the existing subscription when the checkout is refused", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {}, refuse: "already_subscribed" };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    // The customer has bought a plan in another tab, and its renewal is unpaid. This tab still shows the old plan.
    customer.atStripe = {
      plan: "vip",
      stripe_status: "past_due",
      reason: "grace",
      grace_until: "2026-11-30T00:00:00.000Z",
      expires_at: "2026-11-30T00:00:00.000Z",
    };
    await tab.getByRole("button", { name: "申し込む: スナック美砂樹 VIPプラン" }).click();
    await tab.getByText("すでにご契約があります。").waitFor();
    expect(await tab.locator("#why").textContent()).toMatch(/^更新のお支払いが確認できていません。/);
    expect(await tab.locator("#dates").textContent()).toBe("お支払いの期日2026年11月30日");
    expect(await tab.getByRole("button", { name: "プランの変更・解約・カード" }).isEnabled()).toBe(true);
  });

  it("shows the updated row in the developer's panel and controls the Stripe double from this panel", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {} };
    const panel = fakePanel();
    let row: Record<string, unknown> | undefined = { user_id: "user-1", plan: "free" };
    const asked: string[] = [];
    await using visited = await visit(
      {},
      {
        customer,
        stripe: () => panel,
        row: async (userId) => {
          asked.push(userId);
          return row;
        },
      },
    );
    const { tab, events } = visited;
    await signIn(tab);
    expect(asked).toEqual([]);
    await openDrawer(tab, "お支払い");
    const line = (name: string) =>
      tab.getByRole("row").filter({ has: tab.getByRole("rowheader", { name, exact: true }) });
    await eventually(() => line("plan").getByRole("cell").textContent()).toBe("free");
    expect(new Set(asked)).toEqual(new Set(["user-1"]));

    // A webhook writes the row.
    customer.inRow = { plan: "paid", stripe_status: "active", reason: "subscription" };
    row = { user_id: "user-1", plan: "paid", subscriptions: [{ status: "active", period_end: panel.now() + 86_400 }] };
    events.emit({ source: "dynamodb", summary: "UpdateItem users → 200" });
    await eventually(() => line("plan").getByRole("cell").textContent()).toBe("paid");
    expect(await line("subscriptions.0.status").textContent()).toContain("active");
    await eventually(() => tab.locator("#plan").textContent()).toBe("常連");
    await eventually(() => tab.locator("#model").textContent()).toBe("mistral");

    await tab.getByRole("button", { name: "次の更新を失敗させる" }).click();
    await eventually(() => panel.calls).toEqual(["failNextRenewal user-1"]);
    await tab.getByText("できました。").waitFor();
    await tab.getByRole("button", { name: "期間の終わりまで進める" }).click();
    // The clock advances to the end of the period in the row, plus one hour. Stripe charges an hour after the end.
    await eventually(() => Number(panel.calls.at(-1)?.split(" ")[1])).toBeGreaterThanOrEqual(86_400 + 3_600);
    await eventually(() => tab.locator("#clock").textContent()).toContain("2026年11月24日");
    await tab.getByLabel("二度届く").check();
    await eventually(() => panel.switches().duplicate).toBe(true);
    expect(visited.complaints).toEqual([]);
  });

  it("shows the reason for an impossible action in view in the drawer, in the page's language", async () => {
    const panel = fakePanel({
      async refund() {
        throw new PanelRefusal("noPayment", "This customer has paid nothing yet.");
      },
    });
    await using visited = await visit({}, { stripe: () => panel });
    await signIn(visited.tab);
    await openDrawer(visited.tab, "お支払い");
    await visited.tab.getByText("まだ行がありません。").waitFor();
    await visited.tab.getByRole("button", { name: "返金する" }).click();
    const feedback = visited.tab.getByText("このお客さまは、まだ何も支払っていません。");
    await feedback.waitFor();
    await expectInViewport(feedback);
    expect(await visited.tab.getByRole("button", { name: "返金する" }).isEnabled()).toBe(true);
  });

  it("hides the customer's controls from a guest, and shows only the row when billing uses real Stripe", async () => {
    await using visited = await visit({}, { row: async () => ({ user_id: "user-1", plan: "free" }) });
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#talk").waitFor({ state: "attached" });
    await eventually(() => tab.locator("#who").textContent()).toBe("ゲスト");
    await openDrawer(tab, "お支払い");
    await tab.getByText("サインインすると、お客さまの行が見えます。").waitFor();
    expect(await tab.locator(".for-customer, #billing").filter({ visible: true }).count()).toBe(0);
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("button", { name: "席を立つ" }).click();
    await signIn(tab);
    await openDrawer(tab, "お支払い");
    await tab.getByText("お支払いは本物の Stripe").waitFor();
    await tab.getByRole("rowheader", { name: "user_id" }).waitFor();
    expect(await tab.getByRole("button", { name: "返金する" }).isVisible()).toBe(false);
  });

  it("greets a visitor before the first message, in the page's language", async () => {
    await using visited = await visit({ stream: [] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByText("いらっしゃい。さあ、おかけになって。").waitFor();
    expect(await tab.locator("#talk .face").isVisible()).toBe(true);
    await tab.getByRole("button", { name: "English" }).click();
    await tab.getByText("Welcome, dear.").waitFor();
    expect(jobs.inputs).toEqual([]);
  });

  it("keeps the conversation after a reload, and deletes the conversation when the visitor leaves", async () => {
    await using visited = await visit({ stream: [{ status: "COMPLETED", items: [doneItem("あら。")] }] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await tab.getByText("あら。").waitFor();
    await tab.reload();
    await tab.getByText("あら。").waitFor();
    await say(tab, "元気？");
    await eventually(() => jobs.inputs.length).toBe(2);
    expect(jobs.inputs[1]?.messages).toHaveLength(3);
    await tab.getByRole("button", { name: "席を立つ" }).click();
    expect(await tab.evaluate(() => sessionStorage.length)).toBe(0);
  });

  it("keeps a guest's conversation when the guest signs in", async () => {
    await using visited = await visit({ stream: [{ status: "COMPLETED", items: [doneItem("あら。")] }] });
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await tab.getByText("あら。").waitFor();
    await tab.getByRole("button", { name: "サインイン", exact: true }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    await tab.getByText("あら。").waitFor();
  });

  it("marks a reply as broken and offers a retry when a reload has interrupted the reply", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab, relay } = visited;
    const chat = await askRelay(visited);
    chat.send({ delta: "長い話の途中" });
    await tab.getByText("長い話の途中").waitFor();
    await tab.reload();
    await tab.locator(".problem").getByText("お返事が届きませんでした。").waitFor();
    expect(await lastReply(tab).getAttribute("class")).toContain("broken");
    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await eventually(() => relay.chats.length).toBe(2);
  });

  it("keeps the reason of a failed reply after a reload, and does not blame the reload", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    chat.send({ delta: "あら、" });
    chat.response.end();
    await tab.getByText("ただいまお取り次ぎできません。").waitFor();
    await tab.reload();
    await tab.locator(".problem").getByText("お返事が届きませんでした。").waitFor();
    expect(await lastReply(tab).getAttribute("class")).toContain("broken");
  });

  it("keeps the end of the newest reply in view when the drawer adds lines to the replies", async () => {
    await using visited = await visit({}, { relay: (chat) => chat.send(relayDone("長い話。".repeat(20))) });
    const { tab } = visited;
    await askRelay(visited);
    for (const count of [2, 3, 4, 5]) {
      await eventually(() => tab.locator(".facts").count()).toBe(count - 1);
      await say(tab, "続きは？");
    }
    await eventually(() => tab.locator(".facts").count()).toBe(5);
    const hidden = () =>
      tab.locator("#talk").evaluate((talk) => talk.scrollHeight - talk.scrollTop - talk.clientHeight);
    await eventually(hidden).toBeLessThan(2);
    await tab.locator("#back-room summary").click();
    await tab.locator(".facts").last().waitFor();
    await eventually(hidden).toBeLessThan(2);
  });

  it.each(["forbidden", "full"])("opens, enters and chats when the browser's storage is %s", async (state) => {
    await using visited = await visit({}, { relay: (chat) => chat.send(relayDone("あら。")) });
    const second = await openSecondTab(visited, (page) =>
      page.addInitScript(state === "full" ? fillStorage : forbidStorage),
    );
    await second.getByRole("button", { name: "English" }).click();
    await second.getByRole("button", { name: "Continue as guest" }).click();
    await say(second, "こんばんは");
    await eventually(() => lastReply(second).textContent()).toBe("あら。");
    await second.getByRole("button", { name: "Leave" }).click();
    await second.getByRole("button", { name: "Continue as guest" }).waitFor();
  });

  it("returns an unsent message to the input line, but does not overwrite a newer message", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab, relay } = visited;
    const line = tab.getByLabel("ママに話しかける");
    const rejected = { error: { code: "invalid_input", message: "No.", retryable: false } };
    (await askRelay(visited)).answer(400, rejected);
    await eventually(() => line.inputValue()).toBe("こんばんは");
    await tab.keyboard.press("Enter");
    await eventually(() => relay.chats.length).toBe(2);
    await line.fill("次の話");
    relay.chats[1]?.answer(400, rejected);
    await eventually(() => tab.locator("#talk .note.problem").count()).toBe(2);
    expect(await line.inputValue()).toBe("次の話");
  });

  it("keeps a guest's unsent text when the guest signs in in another tab, but not for the next guest", async () => {
    await using visited = await visit({});
    const second = await openSecondTab(visited);
    const line = second.getByLabel("ママに話しかける");
    await second.getByRole("button", { name: "ゲストで入る" }).click();
    await line.fill("ここだけの話");
    await second.getByRole("button", { name: "席を立つ" }).click();
    await second.getByRole("button", { name: "ゲストで入る" }).click();
    await line.waitFor();
    expect(await line.inputValue()).toBe("");
    await line.fill("あのね");
    await signIn(visited.tab);
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
    expect(await line.inputValue()).toBe("あのね");
  });

  it("appends streamed text to one text node, so that a screen reader does not announce the reply again", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    await eventually(() => tab.locator("#talk").getAttribute("aria-busy")).toBe("true");
    chat.send({ delta: "あ" });
    await eventually(() => lastReply(tab).textContent()).toBe("あ");
    await tab.evaluate(recordMutations);
    for (let piece = 0; piece < 50; piece++) chat.send({ delta: "い" });
    await eventually(() => lastReply(tab).textContent()).toBe(`あ${"い".repeat(50)}`);
    const { childList, removed } = await tab.evaluate(() => window.mutations);
    expect({ childList, removed }).toEqual({ childList: 0, removed: 0 });
    chat.send(relayDone(`あ${"い".repeat(50)}`));
    await eventually(() => tab.locator("#talk").getAttribute("aria-busy")).toBe("false");
    expect((await tab.evaluate(() => window.mutations)).removed).toBe(0);
    expect(await tab.locator("#talk").getAttribute("role")).toBe("log");
  });

  it("moves no element on the screen while a long reply streams, and reports frames per second", async ({
    annotate,
  }) => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    await tab.evaluate(recordShifts);
    await tab.evaluate(recordFrames);
    for (let piece = 0; piece < 120; piece++) {
      chat.send({ delta: "昔むかし、この店に、" });
      await setTimeout(PACE_MS);
    }
    await annotate(frameReport(await tab.evaluate(() => window.frameTimes)));
    chat.send(relayDone("昔むかし、この店に、".repeat(120)));
    await tab.getByRole("button", { name: "コピー" }).waitFor();
    const distance = () =>
      tab.locator("#talk").evaluate((talk) => talk.scrollHeight - talk.scrollTop - talk.clientHeight);
    await eventually(async () => Math.round(await distance())).toBe(0);
    expect(await tab.evaluate(() => window.shifts)).toEqual([]);
  });

  it("shows the number of excess characters instead of truncating a pasted text", async () => {
    await using visited = await visit({ stream: [] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "あ".repeat(510));
    await tab.getByText("一度に送れるのは 500 文字までです。あと 10 文字減らしてください。").waitFor();
    expect(await tab.getByLabel("ママに話しかける").inputValue()).toHaveLength(510);
    expect(await tab.getByRole("button", { name: "送る" }).isDisabled()).toBe(true);
    expect(jobs.inputs).toEqual([]);
    await tab.keyboard.press("End");
    for (let char = 0; char < 10; char++) await tab.keyboard.press("Backspace");
    await tab.keyboard.press("Enter");
    await eventually(() => jobs.inputs.length).toBe(1);
  });

  it("does not send when Enter confirms a Japanese composition", async () => {
    await using visited = await visit({ stream: [] });
    const { tab, jobs } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    const line = tab.getByLabel("ママに話しかける");
    await line.focus();
    const keyboard = await tab.context().newCDPSession(tab);
    await keyboard.send("Input.imeSetComposition", { text: "こんばんは", selectionStart: 5, selectionEnd: 5 });
    await line.dispatchEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true });
    // Safari ends the composition before this event.
    await line.dispatchEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true });
    await keyboard.send("Input.insertText", { text: "こんばんは" });
    expect(await line.inputValue()).toBe("こんばんは");
    expect(jobs.inputs).toEqual([]);
    await tab.keyboard.press("Enter");
    await eventually(() => jobs.inputs.length).toBe(1);
  });

  it("shows the waiting time, offers to stop, and stops automatically at the limit", async () => {
    await using visited = await visit({}, { relay: () => {}, waitLimitMs: 150_000 });
    const { tab, relay } = visited;
    await tab.clock.install();
    await tab.reload();
    await askRelay(visited);
    await tab.clock.runFor(20_000);
    await tab.getByText(/^20 秒お待ちいただいています。2 分 30 秒たっても/).waitFor();
    await tab.getByText("ママの支度に時間がかかっています。").waitFor({ state: "attached" });
    await tab.getByRole("button", { name: "待つのをやめる" }).click();
    await tab.getByText("ここで止めました。").waitFor();
    await eventually(() => relay.cancels.length).toBe(1);

    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await eventually(() => relay.chats.length).toBe(2);
    // The relay keeps sending waiting items. Without any byte, the client would give up earlier.
    for (let step = 1; step <= 7; step++) {
      relay.chats[1]?.send({ waiting: true, message: `お店を開けているところなの（${step}）` });
      await tab.getByText(`お店を開けているところなの（${step}）`).waitFor();
      await tab.clock.runFor(22_000);
    }
    await tab.getByText("長くお待たせしましたが、お返事できませんでした。").waitFor();
    await eventually(() => relay.cancels.length).toBe(2);
    expect(await tab.getByRole("button", { name: "もう一度送る" }).isVisible()).toBe(true);
  });

  it("shows the waiting time and stops at the limit, even after a reply has restarted", async () => {
    await using visited = await visit({}, { relay: () => {}, waitLimitMs: 25_000 });
    const { tab, relay } = visited;
    await tab.clock.install();
    await tab.reload();
    const chat = await askRelay(visited);
    chat.send({ delta: "あ" });
    await eventually(() => lastReply(tab).textContent()).toBe("あ");
    chat.send({ restart: true });
    await eventually(() => lastReply(tab).textContent()).toBe("");
    await tab.clock.runFor(20_000);
    await tab.getByText(/^20 秒お待ちいただいています。25 秒たっても/).waitFor();
    expect(await tab.getByRole("button", { name: "待つのをやめる" }).isVisible()).toBe(true);
    await tab.clock.runFor(6_000);
    await tab.getByText("長くお待たせしましたが、お返事できませんでした。").waitFor();
    await eventually(() => relay.cancels.length).toBe(1);
  });

  it("shows no progress of an old reply in the next conversation", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab, relay } = visited;
    await tab.clock.install();
    await tab.reload();
    await askRelay(visited);
    await tab.getByRole("button", { name: "席を立つ" }).click();
    await eventually(() => relay.cancels.length).toBe(1);
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#starters").waitFor();
    await tab.clock.runFor(20_000);
    expect(await tab.locator("#progress").textContent()).toBe("");
  });

  it("copies a reply", async () => {
    await using visited = await visit(
      { stream: [{ status: "COMPLETED", items: [doneItem("あら、いらっしゃい。")] }] },
      { permissions: ["clipboard-read", "clipboard-write"] },
    );
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await tab.getByRole("button", { name: "コピー" }).click();
    await tab.getByText("コピーしました").waitFor();
    expect(await tab.evaluate(() => navigator.clipboard.readText())).toBe("あら、いらっしゃい。");
  });

  it("needs only the keyboard for a chat", async () => {
    await using visited = await visit({ stream: [{ status: "IN_PROGRESS", items: [{ delta: "長い話" }] }] });
    const { tab } = visited;
    const tabTo = async (target: Locator) => {
      for (let press = 0; press < 30; press++) {
        if (await target.evaluate((element) => element === document.activeElement)) return;
        await tab.keyboard.press("Tab");
      }
      throw new Error("The Tab key does not reach this element.");
    };
    await tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    await tabTo(tab.locator("#guest"));
    await tab.keyboard.press("Enter");
    await tab.locator("#starters").waitFor();
    await tabTo(tab.locator("#talk"));
    await tabTo(tab.locator("#line"));
    await tab.keyboard.type("昔話を聞かせて");
    await tab.keyboard.press("Enter");
    await tab.getByText("長い話").waitFor();
    await tabTo(tab.locator("#send"));
    await tab.keyboard.press("Enter");
    await tab.getByText("ここで止めました。").waitFor();
    await tabTo(tab.locator("summary"));
    await tab.keyboard.press("Enter");
    await tabTo(tab.locator("#tab-calls"));
    await tab.keyboard.press("ArrowRight");
    expect(await tab.locator("#panel-money").isVisible()).toBe(true);
  });

  it("shows the offline state after a failure, and can send again when the network is back", async () => {
    await using visited = await visit({}, { relay: (chat) => chat.send(relayDone("おかえりなさい。")) });
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#starters").waitFor();
    await tab.context().setOffline(true);
    await say(tab, "聞こえますか");
    await tab.getByText("インターネットにつながっていません。").waitFor();
    await tab.context().setOffline(false);
    await eventually(() => tab.locator("#offline").isVisible()).toBe(false);
    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await eventually(() => lastReply(tab).textContent()).toBe("おかえりなさい。");
  });

  it("renews an expired token and ticket while the customer chats", async () => {
    const expired = { error: { code: "ticket_expired", message: "The ticket has expired.", retryable: true } };
    let answered = 0;
    const relay: RelayScript = (chat) =>
      answered++ === 0 ? chat.answer(401, expired) : chat.send(relayDone("まだお席はありますよ。"));
    // This ID token is always about to expire.
    await using visited = await visit({}, { relay, expiresIn: 30 });
    const { tab, domain } = visited;
    await signIn(tab);
    const refreshes = () => domain.calls.filter(({ grant_type }) => grant_type === "refresh_token").length;
    const before = refreshes();
    await say(tab, "こんばんは");
    await eventually(() => lastReply(tab).textContent()).toBe("まだお席はありますよ。");
    expect(refreshes()).toBeGreaterThan(before);
    expect(visited.complaints).toEqual([]);
  });

  it("asks for a new sign-in when Cognito refuses the refresh, and then continues the conversation", async () => {
    const relay: RelayScript = (chat) => chat.send(relayDone("あら。"));
    await using visited = await visit({}, { relay, expiresIn: 30 });
    const { tab, domain } = visited;
    await signIn(tab);
    await say(tab, "こんばんは");
    await tab.getByText("あら。").waitFor();
    domain.refreshTokens.clear();
    await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await tab.getByText("お席の時間が切れました。もう一度お入りください。").waitFor();
    await signIn(tab);
    await tab.getByText("あら。").waitFor();
  });

  it.each(["/", "/?portal=return"])(
    "asks for a new sign-in and keeps the conversation when Cognito refuses the refresh at %s",
    async (path) => {
      const relay: RelayScript = (chat) => chat.send(relayDone("あら。"));
      await using visited = await visit({}, { relay, expiresIn: 30 });
      const { tab, domain, api } = visited;
      await signIn(tab);
      await say(tab, "こんばんは");
      await tab.getByText("あら。").waitFor();
      domain.refreshTokens.clear();
      await tab.goto(new URL(path, tab.url()).href);
      await tab.getByText("お席の時間が切れました。もう一度お入りください。").waitFor();
      await signIn(tab);
      await tab.getByText("あら。").waitFor();
      expect(api.calls).not.toContain("POST /auth/guest");
    },
  );

  it("shows a plan change from another page without a reload", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {} };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    const second = await tab.context().newPage();
    await second.goto(tab.url());
    await eventually(() => second.locator("#plan").textContent()).toBe("無料");
    customer.inRow = { plan: "vip", stripe_status: "active", reason: "subscription" };
    await second.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await eventually(() => second.locator("#plan").textContent()).toBe("VIP");
    // The second tab sends the new plan to the first tab.
    await eventually(() => tab.locator("#plan").textContent()).toBe("VIP");
    expect(await offered(tab)).toEqual([]);
  });

  it("signs a second tab in when the customer signs in in the first tab", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    const second = await tab.context().newPage();
    await second.goto(tab.url());
    await second.getByRole("button", { name: "ゲストで入る" }).waitFor();
    await signIn(tab);
    await eventually(() => second.locator("#who").textContent()).toBe("みさき@example.com");
  });

  it("switches the models' faults from the drawer and shows workers and jobs", async () => {
    const models = fakeModels();
    await using visited = await visit({}, { models: () => models });
    const { tab, events } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await openDrawer(tab, "モデル");
    await tab.getByText("待ち 0・実行中 1・完了 2・失敗 0").waitFor();
    await tab.getByText("worker-1 IDLE").waitFor();
    await tab.getByLabel("GPU の空きがない").check();
    await tab.getByText("できました。").waitFor();
    const { held, release } = await holdRequests(tab, "/models/llm");
    await tab.getByLabel("anthropic").selectOption("途中で切れる");
    await held;
    expect(await tab.getByLabel("openai").isDisabled()).toBe(true);
    expect(await tab.locator("#kind").isDisabled()).toBe(false);
    await release();
    await eventually(() => models.state().llms.anthropic).toBe("cut");
    expect(models.state().runpod.noGpus).toBe(true);

    const [endpoint] = models.state().endpoints;
    Object.assign(endpoint ?? {}, { workers: [] });
    events.emit({ source: "worker", summary: "phi3: worker worker-1 stopped" });
    await tab.getByText("ワーカーはいません。").waitFor();
    expect(visited.complaints).toEqual([]);
  });

  it("lists the users of a candidate in the drawer, changes its share and fault, and aborts it", async () => {
    const candidates = fakeCandidates();
    await using visited = await visit({}, { candidates: () => candidates });
    const { tab, events } = visited;
    await signIn(tab);
    await openDrawer(tab, "モデル");
    await tab.getByRole("heading", { name: "mistral: local-1 → local-2" }).waitFor();
    const cellOf = (name: string | RegExp) => tab.getByRole("row", { name }).getByRole("cell").first().textContent();
    expect(await cellOf("あなた")).toBe("local-1");
    expect(await cellOf("paid@example.com")).toBe("local-2");
    expect(await cellOf("準備")).toContain("まだ返事がない");
    expect(await cellOf("判定")).toContain("wait: 3 replies");
    expect(await cellOf("公開中の返事")).toContain("（初めの一言 p50 500 ms、p95 > 8000 ms）");

    await tab.getByLabel("割合（%）").fill("25");
    await tab.getByRole("button", { name: "割合を変える" }).click();
    await eventually(() => cellOf(/^割合/)).toBe("25%（設定は 5%）");
    expect(await cellOf("設定と違う理由")).toContain("An operator set the share to 25%.");
    expect(await tab.getByText(/5% → 25% \(operator\)/).count()).toBe(1);
    await tab.getByLabel("候補の不調").selectOption("返事が空になる");
    await eventually(() => candidates.calls).toContain("fault mistral empty");
    await tab.getByRole("button", { name: "全員を公開中のモデルへ戻す" }).click();
    await eventually(() => cellOf("paid@example.com")).toBe("local-1");

    candidates.promote();
    events.emit({ source: "lambda", summary: "snack-misaki-start-canary → {}" });
    await tab.locator("#candidates").waitFor({ state: "hidden" });
    expect(visited.complaints).toEqual([]);
  });

  it("filters the list of calls by relay attempts, jobs, workers or webhook deliveries", async () => {
    await using visited = await visit({});
    const { tab, events } = visited;
    events.emit({ source: "lambda", summary: "snack-misaki-start-relay { attempts: 2 }" });
    events.emit({ source: "runpod", summary: "snack-misaki-start-phi3: job 23ccbe51-e559 COMPLETED" });
    events.emit({ source: "worker", summary: "snack-misaki-start-phi3: worker ready" });
    events.emit({ source: "stripe", summary: "customer.subscription.created → 200" });
    events.emit({ source: "http-api", summary: "POST /webhook/stripe → 200" });
    events.emit({ source: "ssm", summary: "GetParameter" });
    await openDrawer(tab);
    await eventually(() => tab.locator("#calls li").count()).toBe(6);
    const visible = async (kind: string) => {
      await tab.getByLabel("表示").selectOption(kind);
      return tab.locator("#calls li:visible .summary").allTextContents();
    };
    expect(await visible("リレー（試行）")).toEqual(["snack-misaki-start-relay { attempts: 2 }"]);
    expect(await visible("RunPod のジョブ")).toEqual(["snack-misaki-start-phi3: job 23ccbe51-e559 COMPLETED"]);
    expect(await visible("ワーカー")).toEqual(["snack-misaki-start-phi3: worker ready"]);
    expect(await visible("Webhook")).toEqual(["POST /webhook/stripe → 200", "customer.subscription.created → 200"]);
  });

  it("keeps the chat's height when the drawer opens beside the chat", async () => {
    await using visited = await visit({}, { viewport: { width: 1280, height: 800 } });
    const { tab } = visited;
    await signIn(tab);
    const heightOf = async (selector: string) => (await tab.locator(selector).boundingBox())?.height ?? 0;
    const before = await heightOf("#talk");
    const columns = async () =>
      Promise.all(
        [".counter", "aside"].map(async (selector) => {
          const box = await tab.locator(selector).boundingBox();
          return Math.round((box?.y ?? 0) + (box?.height ?? 0));
        }),
      );
    const [chatEnd, sideEnd] = await columns();
    expect(chatEnd).toBe(sideEnd);
    await openDrawer(tab, "お支払い");
    expect(await heightOf("#talk")).toBeGreaterThanOrEqual(before);
    expect(await tab.evaluate(() => document.documentElement.scrollHeight)).toBe(800);
  });

  it("keeps the English plans inside their list when the open drawer makes the side column narrow", async () => {
    await using visited = await visit({}, { viewport: { width: 1280, height: 800 } });
    const { tab } = visited;
    await signIn(tab);
    await openDrawer(tab, "お支払い");
    await tab.getByRole("button", { name: "English" }).click();
    await tab.locator("#offers").getByRole("button", { name: "Subscribe" }).first().waitFor();
    const list = await tab.locator("#offers").boundingBox();
    const plan = await tab.locator("#offers li").first().boundingBox();
    expect(plan?.width).toBe(list?.width);
  });

  it("keeps the chosen language readable while the mouse pointer is over its button", async () => {
    await using visited = await visit({});
    const { tab } = visited;
    const chosen = tab.getByRole("button", { name: "日本語" });
    await chosen.hover();
    const colors = await chosen.evaluate((button) => {
      const { color, backgroundColor } = getComputedStyle(button);
      return { color, backgroundColor };
    });
    expect(colors).toEqual({ color: "rgb(43, 26, 16)", backgroundColor: "rgb(233, 184, 114)" });
  });

  it("breaks Japanese lines between phrases in bubbles, also on the English page", async () => {
    await using visited = await visit(
      { stream: [{ status: "COMPLETED", items: [doneItem("おひとつどうぞ。")] }] },
      { locale: "en-GB" },
    );
    const { tab } = visited;
    await tab.getByRole("button", { name: "Continue as guest" }).click();
    await say(tab, "こんばんは");
    const words = tab.getByText("おひとつどうぞ。");
    await words.waitFor();
    expect(await words.evaluate((element) => getComputedStyle(element).wordBreak)).toBe("auto-phrase");
    expect(await words.getAttribute("lang")).toBe("ja");
  });

  it.each([
    ["a desktop", { width: 1280, height: 800 }],
    ["a phone", { width: 390, height: 844 }],
  ])("has no serious accessibility finding on %s", async (_, viewport) => {
    const relay: RelayScript = (chat) => {
      if (JSON.stringify(chat.body.messages).includes("もう一杯")) chat.response.destroy();
      else chat.send({ delta: "昔むかし、この店に、".repeat(120) });
    };
    const row = async () => ({ user_id: "user-1", plan: "free" });
    await using visited = await visit(
      {},
      {
        relay,
        viewport,
        row,
        models: () => fakeModels(),
        candidates: () => fakeCandidates(),
        stripe: () => fakePanel(),
      },
    );
    const { tab, events } = visited;
    for (let call = 0; call < 40; call++)
      events.emit({ source: "lambda", summary: `snack-misaki-start-relay ${call}` });
    const audit = async (state: string) => expect(await findings(tab), state).toEqual([]);
    await tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    await audit("the door");
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await tab.getByText("昔むかし").waitFor();
    // The conversation scrolls and contains no button yet.
    await audit("a long reply in progress");
    visited.relay.chats[0]?.send(relayDone("昔むかし、この店に、".repeat(120)));
    await tab.getByRole("button", { name: "コピー" }).waitFor();
    await say(tab, "もう一杯");
    await tab.getByText("ここで途切れました。").or(tab.getByText("ただいまお取り次ぎ")).first().waitFor();
    await audit("a guest's chat with a failure");
    for (const name of ["動き", "お支払い", "モデル"]) {
      await (name === "動き" ? openDrawer(tab) : tab.getByRole("tab", { name }).click());
      await audit(`a guest's drawer: ${name}`);
    }
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("button", { name: "サインイン", exact: true }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
    await audit("a customer");
    await openDrawer(tab, "お支払い");
    await tab.getByRole("rowheader", { name: "user_id" }).waitFor();
    await audit("a customer's drawer");
  });

  it("hides the Enter hint on a phone", async () => {
    await using visited = await visit({}, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#line").waitFor();
    expect(await tab.locator("#enter-hint").isVisible()).toBe(false);
    await expectInViewport(tab.locator("#send"));
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  });

  it("fits a screen that is 320 pixels wide", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: { plan: "vip", stripe_status: "past_due", reason: "grace" } };
    const row = async () => ({ stripe_customer_id: `cus_${"x".repeat(80)}`, ["long_name_".repeat(8)]: 1 });
    await using visited = await visit(
      {},
      { customer, stripe: () => fakePanel(), row, viewport: { width: 320, height: 640 } },
    );
    const { tab } = visited;
    await signIn(tab);
    await openDrawer(tab, "お支払い");
    await tab.getByRole("rowheader", { name: "stripe_customer_id" }).waitFor();
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
  });
});

declare global {
  interface Window {
    /** Texts of live regions, in the order in which a screen reader announces them. */
    announced: string[];
    /** Number of child list changes and of removed nodes in the transcript. */
    mutations: { childList: number; removed: number };
    /** Elements that have jumped to another place. */
    shifts: string[];
    /** Start times of the page's frames in milliseconds. */
    frameTimes: number[];
  }
}

/** Makes the page's storage refuse access, as in a browser that blocks site data. */
function forbidStorage(): void {
  const get = () => {
    throw new DOMException("Access is denied for this document.", "SecurityError");
  };
  for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get });
}

/** Fills the page's empty storage until not even the name of a key fits. */
function fillStorage(): void {
  for (const storage of [localStorage, sessionStorage]) {
    storage.clear();
    for (let size = 2 ** 22; size >= 1; size /= 2) {
      try {
        storage.setItem(String(size), "x".repeat(size));
      } catch {}
    }
  }
}

/** Records in the page which elements jump to another place (Layout Instability API). */
function recordShifts(): void {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { sources: { node: Node | null }[] })[]) {
      window.shifts.push(entry.sources.map(({ node }) => node?.nodeName ?? "").join(" "));
    }
  }).observe({ type: "layout-shift" });
}

/** Records in the page when each frame starts. */
function recordFrames(): void {
  window.frameTimes = [];
  requestAnimationFrame(function record(startedAt) {
    window.frameTimes.push(startedAt);
    requestAnimationFrame(record);
  });
}

/**
 * Returns the frames per second and the longest time between two frames. The test does not check them, because a busy
 * machine drops frames.
 */
function frameReport(times: number[]): string {
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
  return `${Math.round(gaps.length / seconds)} frames per second, longest gap ${Math.round(Math.max(...gaps))} ms`;
}

/** Counts the changes of the transcript inside the page. */
function recordMutations(): void {
  window.mutations = { childList: 0, removed: 0 };
  const observer = new MutationObserver((changes) => {
    for (const { type, removedNodes } of changes) {
      if (type === "childList") window.mutations.childList++;
      window.mutations.removed += removedNodes.length;
    }
  });
  const talk = document.getElementById("talk");
  if (talk) observer.observe(talk, { childList: true, characterData: true, subtree: true });
}

/** Serious and critical findings of axe-core, as `rule: element`. */
async function findings(tab: Page): Promise<string[]> {
  await tab.evaluate(axe.source);
  const { violations } = await tab.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
}

/** Records the text of the chat's live regions at every change, inside the page. */
function recordAnnouncements(): void {
  window.announced = [];
  const live = "[aria-live=polite], [aria-live=assertive], [role=status], [role=alert], [role=log]";
  const observer = new MutationObserver((changes) => {
    for (const { target } of changes) {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(`.counter :is(${live})`);
      if (region && region.id !== "talk") window.announced.push(region.textContent ?? "");
    }
  });
  observer.observe(document.body, { childList: true, characterData: true, subtree: true });
}

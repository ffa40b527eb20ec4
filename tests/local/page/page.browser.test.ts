import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlanInfo } from "../../../client";
import type { PageConfig } from "../../../local/page/config";
import { type PageOptions, startPage } from "../../../local/page/page";
import { Events } from "../../../local/support/events";
import { launchBrowser, needsBrowser } from "../../browser";
import { doneItem, type JobScript, sessionFor, startHostedDomain, startJobApi } from "../../client/fakes";
import { type RelayScript, relayDone, startRelay } from "../../client/relayServer";
import { type FakeCustomer, fakePanel, startApi } from "./fakes";

/** Polls with a long timeout for busy machines. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });

describe("page in a browser", { ...needsBrowser, timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  /** Opens the page against fakes, in Japanese by default. With a relay, sessions send their chats there. */
  async function visit(
    script: JobScript,
    options: BrowserContextOptions & Partial<Pick<PageOptions, "stripe" | "row">> & VisitOptions = {},
  ) {
    const { evaluated = true, stripe = () => undefined, row = async () => undefined, ...rest } = options;
    const { customer = { atStripe: {}, inRow: {} }, relay: relayScript, ...context } = rest;
    const jobs = await startJobApi(script);
    const relay = await startRelay(relayScript ?? (() => {}));
    const events = new Events();
    let config: PageConfig | undefined;
    const page = await startPage({ port: 0, events, config: () => config, stripe, row });
    const redirectUri = `${page.url}/callback`;
    const domain = await startHostedDomain({ clientId: "client1", redirectUri });
    const session = () => (relayScript ? relay.session() : sessionFor(jobs.url));
    const api = await startApi(session, customer, `${page.url}/`);
    const auth = { url: domain.url, clientId: "client1", redirectUri, logoutUri: `${page.url}/`, scopes: ["openid"] };
    const evaluate = () => {
      config = {
        apiUrl: api.url,
        relayUrl: relay.url,
        inference: { phi3: jobs.url },
        auth,
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
  }

  const signIn = async (tab: Page) => {
    await tab.getByRole("button", { name: /サインインして入る|Sign in/ }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe("みさき@example.com");
  };

  const say = async (tab: Page, text: string) => {
    await tab.getByLabel(/ママに話しかける|Say something/).fill(text);
    await tab.keyboard.press("Enter");
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
    await tab.getByRole("button", { name: "サインアウト" }).click();
    await tab.getByRole("button", { name: "ゲストで入る" }).waitFor();
    expect(await tab.evaluate(() => localStorage.getItem("snack-misaki.tokens"))).toBeNull();
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

  it("says that replies are canned when there is no Python worker", async () => {
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

  it("cancels the reply when a guest leaves and starts a new conversation for the next guest", async () => {
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

  /** Enters as a guest and asks over a relay whose reply the test sends. */
  async function askRelay({ tab, relay }: Awaited<ReturnType<typeof visit>>) {
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await say(tab, "こんばんは");
    await eventually(() => relay.chats.length).toBe(1);
    const [chat] = relay.chats;
    if (!chat) throw new Error("no chat arrived");
    return chat;
  }

  it("shows Mama's waiting sentence, the reply of the second model after a restart, and provider and model", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    const reply = tab.locator(".bubble.assistant");
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
    await eventually(() => reply.locator(".facts").textContent()).toBe(facts);
    expect(visited.complaints).toEqual([]);
  });

  it("announces the states of a reply to screen readers, but not its text", async () => {
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

  it("keeps the text that arrived and offers another try when the reply breaks off", async () => {
    await using visited = await visit({}, { relay: () => {} });
    const { tab } = visited;
    const chat = await askRelay(visited);
    chat.send({ delta: "あら、" });
    await tab.getByText("あら、").waitFor();
    chat.response.destroy();
    await tab.getByText("ただいまお取り次ぎできません。").waitFor();
    expect(await tab.locator(".bubble.assistant").textContent()).toBe("あら、");
    expect(await tab.getByRole("button", { name: "もう一度送る" }).isVisible()).toBe(true);
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
    await tab.getByRole("button", { name: "paid を申し込む" }).click();
    await tab.getByText("お申し込みありがとうございます。新しいプランの席をご用意しました。").waitFor();
    expect(tab.url()).toMatch(/^http:\/\/localhost:\d+\/$/);
    expect(await tab.locator("#plan").textContent()).toBe("paid");
    expect(await tab.locator("#model").textContent()).toBe("mistral");
    expect(await tab.locator("#dates").textContent()).toBe("次回のお支払い2026年12月23日");
    expect(await tab.locator("#buy-paid").isVisible()).toBe(false);
    const calls = api.calls.filter((call) => !call.startsWith("OPTIONS"));
    expect(calls).toEqual(["POST /billing/checkout", "POST /billing/sync", "POST /auth/session"]);

    // A reload shows the plan without the message and without another sync.
    await tab.reload();
    await eventually(() => tab.locator("#plan").textContent()).toBe("paid");
    expect(await tab.locator("#billing-message").isVisible()).toBe(false);
    expect(api.calls.filter((call) => call === "POST /billing/sync").length).toBe(1);
    expect(visited.complaints).toEqual([]);
  });

  it("shows a change made in the customer portal", async () => {
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
    await tab.getByRole("button", { name: "vip を申し込む" }).click();
    await tab.getByText("おかえりなさい。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("vip");
    expect(await tab.locator("#buy-vip").isVisible()).toBe(false);
    expect(api.calls).not.toContain("POST /billing/checkout");
  });

  it("keeps the old plan at the success URL until the payment arrives", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: {} };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    const { origin } = new URL(tab.url());
    await tab.goto(`${origin}/?checkout=cancelled`);
    await tab.getByText("お申し込みは取りやめになりました。お支払いは発生していません。").waitFor();

    await tab.goto(`${origin}/?checkout=success`);
    await tab.getByText("お支払いの確認に少しかかっています。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("free");
    // The payment arrives.
    customer.atStripe = { plan: "paid", stripe_status: "active", reason: "subscription" };
    await tab.getByRole("button", { name: "最新の状態にする" }).click();
    await eventually(() => tab.locator("#plan").textContent()).toBe("paid");
    expect(await tab.locator("#model").textContent()).toBe("mistral");

    customer.syncDown = true;
    await tab.goto(`${origin}/?portal=return`);
    await tab.getByText("お支払いの状態を確かめられませんでした。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("paid");
  });

  it("offers only plans above the customer's plan", async () => {
    const customer: FakeCustomer = { atStripe: {}, inRow: { plan: "paid", reason: "grant" } };
    await using visited = await visit({}, { customer });
    const { tab } = visited;
    await signIn(tab);
    expect(await tab.locator("#why").textContent()).toBe("お店からのご招待です。どうぞごゆっくり。");
    expect(await tab.locator("#billing button").filter({ visible: true }).allTextContents()).toEqual([
      "vip を申し込む",
    ]);
    customer.inRow = { plan: "paid", stripe_status: "dormant", reason: "sleeping_beauty" };
    await tab.reload();
    await eventually(() => tab.locator("#why").textContent()).toBe("ご契約の状態をお店で確かめています。");
  });

  it("shows the existing subscription when checkout is refused", async () => {
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
    await tab.getByRole("button", { name: "vip を申し込む" }).click();
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
    await tab.getByText("裏の仕掛け（開発用）").click();
    const line = (name: string) =>
      tab.getByRole("row").filter({ has: tab.getByRole("rowheader", { name, exact: true }) });
    await eventually(() => line("plan").getByRole("cell").textContent()).toBe("free");
    expect(asked).toEqual(["user-1"]);

    // A webhook writes the row.
    customer.inRow = { plan: "paid", stripe_status: "active", reason: "subscription" };
    row = { user_id: "user-1", plan: "paid", subscriptions: [{ status: "active", period_end: panel.now() + 86_400 }] };
    events.emit({ source: "dynamodb", summary: "UpdateItem users → 200" });
    await eventually(() => line("plan").getByRole("cell").textContent()).toBe("paid");
    expect(await line("subscriptions.0.status").textContent()).toContain("active");
    await eventually(() => tab.locator("#plan").textContent()).toBe("paid");
    await eventually(() => tab.locator("#model").textContent()).toBe("mistral");

    await tab.getByRole("button", { name: "次の更新を失敗させる" }).click();
    await eventually(() => panel.calls).toEqual(["failNextRenewal user-1"]);
    await tab.getByText("できました。").waitFor();
    await tab.getByRole("button", { name: "期間の終わりまで進める" }).click();
    // The clock advances to the period's end in the row, plus the hour that Stripe waits before it charges.
    await eventually(() => Number(panel.calls.at(-1)?.split(" ")[1])).toBeGreaterThanOrEqual(86_400 + 3_600);
    await eventually(() => tab.locator("#clock").textContent()).toContain("2026年11月24日");
    await tab.getByLabel("二度届く").check();
    await eventually(() => panel.switches().duplicate).toBe(true);
    expect(visited.complaints).toEqual([]);
  });

  it("shows the error of a failed action in the developer's panel", async () => {
    const panel = fakePanel({
      async refund() {
        throw new Error("This customer has paid nothing yet.");
      },
    });
    await using visited = await visit({}, { stripe: () => panel });
    await signIn(visited.tab);
    await visited.tab.getByText("裏の仕掛け（開発用）").click();
    await visited.tab.getByText("まだ行がありません。").waitFor();
    await visited.tab.getByRole("button", { name: "返金する" }).click();
    await visited.tab.getByText("This customer has paid nothing yet.").waitFor();
    expect(await visited.tab.getByRole("button", { name: "返金する" }).isEnabled()).toBe(true);
  });

  it("hides the developer's panel from a guest, and shows only the row when billing uses real Stripe", async () => {
    await using visited = await visit({}, { row: async () => ({ user_id: "user-1", plan: "free" }) });
    const { tab } = visited;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.locator("#talk").waitFor({ state: "attached" });
    await eventually(() => tab.locator("#who").textContent()).toBe("ゲスト");
    expect(await tab.locator("#back-room, #billing").filter({ visible: true }).count()).toBe(0);
    await tab.getByRole("button", { name: "席を立つ" }).click();
    await signIn(tab);
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByText("お支払いは本物の Stripe").waitFor();
    await tab.getByRole("rowheader", { name: "user_id" }).waitFor();
    expect(await tab.getByRole("button", { name: "返金する" }).isVisible()).toBe(false);
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
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("rowheader", { name: "stripe_customer_id" }).waitFor();
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
  });
});

declare global {
  interface Window {
    /** Texts of live regions, in the order in which a screen reader announces them. */
    announced: string[];
  }
}

/** Records in the page the text of the chat's live regions, once for every change. */
function recordAnnouncements(): void {
  window.announced = [];
  const live = "[aria-live=polite], [aria-live=assertive], [role=status], [role=alert], [role=log]";
  const observer = new MutationObserver((changes) => {
    for (const { target } of changes) {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(`.counter :is(${live})`);
      if (region) window.announced.push(region.textContent ?? "");
    }
  });
  observer.observe(document.body, { childList: true, characterData: true, subtree: true });
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalCloud } from "../../../local/cloud/cloud";
import { openLocalCloud } from "../../../local/cloud/program";
import { canaryConfig } from "../../../local/commands/smokeCanary";
import { launchBrowser, needsBrowser } from "../../browser";

/** Polls with a long timeout for busy machines. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 30_000 });

describe("page of npm start with the whole local cloud", { ...needsBrowser, timeout: 120_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-page-"));
  let cloud: LocalCloud | undefined;
  let browser: Browser;

  beforeAll(async () => {
    const opening = openLocalCloud(
      { programDir: process.cwd(), dir, freePorts: true, withoutPython: true, config: canaryConfig() },
      (started) => {
        cloud = started;
      },
    );
    [browser] = await Promise.all([launchBrowser(), opening]);
  });

  afterAll(async () => {
    await browser?.close();
    await cloud?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  async function openPage() {
    const context = await browser.newContext({ locale: "ja-JP", timezoneId: "Asia/Tokyo" });
    const tab = await context.newPage();
    const complaints: string[] = [];
    tab.on("pageerror", (error) => complaints.push(String(error)));
    await tab.goto(cloud?.pageUrl ?? "");
    return { tab, complaints, [Symbol.asyncDispose]: () => context.close() };
  }

  const signIn = async (tab: Page, email: string) => {
    await tab.getByRole("button", { name: "サインインして入る" }).click();
    await tab.getByRole("button", { name: email }).click();
    await eventually(() => tab.locator("#who").textContent()).toBe(email);
  };

  const say = async (tab: Page, text: string) => {
    await tab.getByLabel("ママに話しかける").fill(text);
    await tab.keyboard.press("Enter");
  };

  /** Waits until the developer's line of each reply is shown. Returns the newest line, which names the model. */
  const answeredBy = async (tab: Page, replies: number) => {
    await eventually(() => tab.locator(".facts").count()).toBe(replies);
    return tab.locator(".facts").last().textContent();
  };

  it("lets a guest chat, and continues the conversation after a reload", async () => {
    await using page = await openPage();
    const { tab } = page;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByText("いらっしゃい。さあ、おかけになって。").waitFor();
    await say(tab, "はじめまして");
    expect(await answeredBy(tab, 1)).toContain("phi3");
    await tab.reload();
    await tab.getByText("はじめまして").waitFor();
    expect(await tab.getByRole("button", { name: "コピー" }).count()).toBe(1);
    expect(page.complaints).toEqual([]);
  });

  it("signs a customer in with a code and PKCE", async () => {
    await using page = await openPage();
    const { tab } = page;
    const authorize = tab.waitForRequest((request) => request.url().includes("/oauth2/authorize"));
    const token = tab.waitForRequest((request) => request.url().endsWith("/oauth2/token"));
    await signIn(tab, "paid@example.com");
    const asked = new URL((await authorize).url()).searchParams;
    expect(asked.get("response_type")).toBe("code");
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("lang")).toBe("ja");
    expect(new URLSearchParams((await token).postData() ?? "").get("code_verifier")).toMatch(/^[\w-]{43,}$/);
    expect(new URL(tab.url()).pathname + new URL(tab.url()).search).toBe("/");
    expect(await tab.locator("#plan").textContent()).toBe("常連");
    expect(page.complaints).toEqual([]);
  });

  it("shows which version answers a tester, and moves the tester back when the drawer aborts the candidate", async () => {
    await using page = await openPage();
    const { tab } = page;
    await signIn(tab, "paid@example.com");
    await say(tab, "こんばんは");
    expect(await answeredBy(tab, 1)).toContain("mistral local-2");
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("tab", { name: "モデル" }).click();
    const cellOf = (name: string) => tab.getByRole("row", { name }).getByRole("cell").first().textContent();
    await tab.getByRole("heading", { name: "mistral: local-1 → local-2" }).waitFor();
    expect(await cellOf("paid@example.com (あなた)")).toBe("local-2");
    expect(await cellOf("vip@example.com")).toBe("local-1");
    await tab.getByLabel("候補の不調").selectOption("返事が失敗する");
    await tab.getByText("できました。").waitFor();
    const fault = { on: "snack-misaki-start-mistral-candidate", fault: "failed" };
    expect(cloud?.runpod.switches.replyFaults).toEqual([fault]);
    await say(tab, "もう一度");
    // The released model answers in place of the failed candidate.
    expect(await answeredBy(tab, 2)).toContain("mistral local-1");
    await tab.getByRole("button", { name: "全員を公開中のモデルへ戻す" }).click();
    await eventually(() => cellOf("paid@example.com (あなた)")).toBe("local-1");
    await tab.getByLabel("候補の不調").selectOption("正常");
    await eventually(() => cloud?.runpod.switches.replyFaults).toEqual([]);
    expect(await cellOf("設定と違う理由")).toContain("An operator aborted the candidate.");
    expect(page.complaints).toEqual([]);
  });

  it("lets a free customer buy 常連 in Checkout and continues the same conversation on the paid model", async () => {
    await using page = await openPage();
    const { tab } = page;
    await signIn(tab, "free@example.com");
    await say(tab, "こんばんは");
    expect(await answeredBy(tab, 1)).toContain("phi3");
    expect(await tab.locator("#offers li").first().textContent()).toContain("月額 ￥980");
    await tab.getByRole("button", { name: "申し込む: スナック美砂樹 常連プラン" }).click();
    await tab.getByRole("heading", { name: "スナック美砂樹 常連プラン" }).waitFor();
    await tab.locator("form button.main").click();
    await tab.getByText("お申し込みありがとうございます。新しいプランの席をご用意しました。").waitFor();
    expect(await tab.locator("#plan").textContent()).toBe("常連");
    await tab.locator(".bubble.user").getByText("こんばんは").waitFor();
    await say(tab, "また来ました");
    expect(await answeredBy(tab, 1)).toContain("mistral");
    expect(await tab.locator(".bubble.user").allTextContents()).toEqual(["こんばんは", "また来ました"]);
    expect(page.complaints).toEqual([]);
  });

  it("shows the final day of the plan after the customer cancels in the portal", async () => {
    await using page = await openPage();
    const { tab } = page;
    await signIn(tab, "paid@example.com");
    await tab.getByRole("button", { name: "変更する: スナック美砂樹 VIPプラン" }).click();
    await tab.locator("form button.main").click();
    await eventually(() => tab.locator("#plan").textContent()).toBe("VIP");
    await tab.getByRole("button", { name: "プランの変更・解約・カード" }).click();
    await tab.locator('form[action$="/cancel"] button').click();
    await tab.getByRole("link", { name: /^← / }).click();
    await tab.getByText("解約のご予約は残っています。").waitFor();
    expect(await tab.locator("#dates").textContent()).toMatch(/^解約日\d{4}年\d+月\d+日$/);
    expect(page.complaints).toEqual([]);
  });

  it("answers a vip customer with another model while a provider is down", async () => {
    await using page = await openPage();
    const { tab } = page;
    await signIn(tab, "vip@example.com");
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("tab", { name: "モデル" }).click();
    await tab.getByLabel("anthropic").selectOption("満員（503）");
    await tab.getByText("できました。").waitFor();
    await say(tab, "こんばんは");
    expect(await answeredBy(tab, 1)).toMatch(/^openai · /);
    await tab.getByText("（OpenAI）").waitFor();
    await tab.getByLabel("anthropic").selectOption("正常");
    await tab.getByRole("tab", { name: "動き" }).click();
    await tab.getByLabel("表示").selectOption("リレー（試行）");
    await tab
      .locator("#calls li:visible")
      .getByText(/"failed":\["anthropic /)
      .waitFor();
    expect(page.complaints).toEqual([]);
  });

  it("asks the customer to wait while no GPU is free, and cancels the job when the customer stops", async () => {
    await using page = await openPage();
    const { tab } = page;
    await tab.getByRole("button", { name: "ゲストで入る" }).click();
    await tab.getByText("裏の仕掛け（開発用）").click();
    await tab.getByRole("tab", { name: "モデル" }).click();
    await tab.getByLabel("GPU の空きがない").check();
    await tab.getByText("できました。").waitFor();
    await say(tab, "誰かいますか");
    await tab.getByText("待ち 1・実行中 0").waitFor();
    await tab.getByText("THROTTLED").first().waitFor();
    await tab.locator(".warming > span").first().waitFor();
    await tab.getByRole("button", { name: "止める" }).click();
    await tab.getByText("ここで止めました。").waitFor();
    await eventually(() => cloud?.runpod.endpoints().every(({ jobs }) => jobs.inQueue === 0)).toBe(true);
    await tab.getByLabel("GPU の空きがない").uncheck();
    await tab.getByRole("button", { name: "もう一度送る" }).click();
    await answeredBy(tab, 1);
    expect(page.complaints).toEqual([]);
  });
});

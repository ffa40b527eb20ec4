import type { BrowserContext, Page } from "playwright-core";

/** The browser and the app that the checks drive. The checks run in order and share the tabs. */
export interface Stage {
  context: BrowserContext;
  url: string;
  /** The tab in which the customer acts. */
  tab: Page;
  /** Another tab of the same browser. */
  other: Page;
  /** Errors of the pages so far. */
  complaints: string[];
}

/** Check of one behaviour of the app. `run` throws when the app does not behave like this. */
export interface Check {
  name: string;
  run(stage: Stage): Promise<void>;
}

const FREE = "free@example.com (free)";
const PAID = "free@example.com (paid)";
const who = (page: Page) => page.locator("p");
const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const shows = (page: Page, text: string) => who(page).getByText(text, { exact: true }).waitFor();

/** Asks and waits for the whole reply. Throws when the page appends the new reply to the previous reply. */
async function asks(page: Page, text: string): Promise<void> {
  const output = page.locator("output");
  const before = (await output.textContent()) ?? "";
  const shown = await output.evaluateHandle((element) => {
    const texts: string[] = [];
    const observer = new MutationObserver(() => texts.push(element.textContent ?? ""));
    observer.observe(element, { subtree: true, childList: true, characterData: true });
    return texts;
  });
  await page.getByLabel("ママに話しかける").fill(text);
  await button(page, "送る").click();
  // React empties a form when the form's action has ended.
  await page.waitForFunction(() => document.querySelector("input")?.value === "");
  await page.locator("output", { hasText: "あら、いらっしゃい。" }).waitFor();
  const joined = (await shown.jsonValue()).find((one) => before && one !== before && one.startsWith(before));
  if (joined !== undefined) throw new Error(`The page showed two replies: ${joined}`);
}

async function signsIn(page: Page): Promise<void> {
  await button(page, "サインイン").click();
  await page.waitForURL(/\/login\?.*lang=ja/);
  await page.getByRole("button", { name: /^free/ }).click();
}

/**
 * Checks the only message that the page has shown, and removes it from `complaints`. Such a message is not an error of
 * the app.
 */
function tells(complaints: string[], message: RegExp): void {
  const [told = "", ...others] = complaints.splice(0);
  if (!message.test(told) || others.length > 0)
    throw new Error(`The page showed the message "${[told, ...others].join("; ")}"`);
}

/** Checks of the README's app against the local cloud. */
export const checks: Check[] = [
  {
    name: "a guest chats without signing in",
    async run({ tab }) {
      await shows(tab, "ゲスト (free)");
      await asks(tab, "こんばんは");
    },
  },
  { name: "a second reply replaces the first reply", run: ({ tab }) => asks(tab, "こんばんは") },
  {
    name: "a guest who opens the address of a finished purchase is asked to sign in, and sees the page",
    async run({ tab, url, complaints }) {
      await tab.goto(`${url}/?checkout=success`);
      await shows(tab, "ゲスト (free)");
      tells(complaints, /Sign in again/);
    },
  },
  {
    name: "a customer signs in on the hosted page, in Japanese, and the address has no code afterwards",
    async run({ tab, url }) {
      await signsIn(tab);
      await shows(tab, FREE);
      if (tab.url() !== `${url}/`) throw new Error(`Expected the address ${url}/, got ${tab.url()}`);
    },
  },
  {
    name: "a tab that was open as a guest shows the customer without a click",
    run: ({ other }) => shows(other, FREE),
  },
  { name: "the customer chats", run: ({ tab }) => asks(tab, "こんばんは") },
  {
    name: "a reload and an old callback address keep the customer signed in",
    async run({ tab, url }) {
      await tab.reload();
      await shows(tab, FREE);
      await tab.goto(`${url}/callback?code=old&state=old`);
      await shows(tab, FREE);
    },
  },
  {
    name: "the customer buys a plan, and both tabs show it",
    async run({ tab, other }) {
      await button(tab, "常連になる").click();
      await tab.locator("button.main").click();
      await shows(tab, PAID);
      await shows(other, PAID);
    },
  },
  { name: "the customer chats on the new plan", run: ({ other }) => asks(other, "こんばんは") },
  {
    name: "a sign-out in one tab makes the other tab a guest",
    async run({ tab, other }) {
      await button(tab, "サインアウト").click();
      await shows(tab, "ゲスト (free)");
      await shows(other, "ゲスト (free)");
    },
  },
  {
    name: "a reload finishes a sign-in whose code could not be exchanged",
    async run({ context, tab, complaints }) {
      await context.route("**/oauth2/token", (route) => route.abort(), { times: 1 });
      await signsIn(tab);
      await shows(tab, "ゲスト (free)");
      tells(complaints, /could not be reached/);
      await tab.reload();
      await shows(tab, PAID);
    },
  },
  {
    name: "no page has reported an error",
    async run({ complaints }) {
      if (complaints.length > 0) throw new Error(complaints.join("; "));
    },
  },
];

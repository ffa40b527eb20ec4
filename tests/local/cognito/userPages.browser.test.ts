import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt } from "jose";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AwsAccount } from "../../../local/aws/support/account";
import { type CognitoDouble, type Email, startCognito } from "../../../local/cognito/cognito";
import { Events } from "../../../local/support/events";
import { launchBrowser, needsBrowser } from "../../browser";

const POOL = "ap-northeast-1_Local12AB";
const CLIENT = "3n4b5urk1ft4fl3mg5e62d9ado";
const CALLBACK = "http://localhost:4100/callback";
const EMAIL = "mori@example.com";
const PASSWORD = "misaki-mama-1";
const phone = { width: 390, height: 844 };
const desktop = { width: 1280, height: 800 };
/** Folder for a picture of each page. The test saves no pictures when the variable is missing. */
const pictures = process.env.SCREENSHOTS;

let dir: string;
let account: AwsAccount;
let cognito: CognitoDouble;
let browser: Browser;
let emails: Email[];

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "snack-misaki-pages-"));
  account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
  const put = (type: string, id: string, outputs: Record<string, unknown>) =>
    account.put({ type: `aws:cognito/${type}`, id, inputs: {}, outputs });
  put("userPool:UserPool", POOL, {
    usernameConfiguration: { caseSensitive: false },
    passwordPolicy: { minimumLength: 12, requireLowercase: true, requireNumbers: true },
  });
  put("userPoolDomain:UserPoolDomain", "snack-misaki", { userPoolId: POOL, managedLoginVersion: 1 });
  put("userPoolClient:UserPoolClient", CLIENT, {
    userPoolId: POOL,
    allowedOauthFlowsUserPoolClient: true,
    allowedOauthFlows: ["code"],
    allowedOauthScopes: ["openid", "email"],
    callbackUrls: [CALLBACK],
    preventUserExistenceErrors: "ENABLED",
  });
  emails = [];
  cognito = await startCognito({
    account,
    dir: join(dir, "cognito"),
    ports: { domain: 0, idp: 0 },
    customers: [{ email: "free@example.com", password: PASSWORD, label: "free" }],
    events: new Events(),
    deliver: (email) => emails.push(email),
  });
});
afterEach(async () => {
  await cognito.close();
  account.close();
  rmSync(dir, { recursive: true });
});

/** Opens a page of the hosted domain with the query of a sign-in. The callback page is empty. */
async function open(path: string, language: "ja" | "en" = "en", viewport = desktop): Promise<Page> {
  const context = await browser.newContext({ viewport, locale: language });
  const page = await context.newPage();
  await page.route(`${CALLBACK}**`, (route) => route.fulfill({ body: "" }));
  const query = new URLSearchParams({
    client_id: CLIENT,
    response_type: "code",
    redirect_uri: CALLBACK,
    scope: "openid email",
    state: "state-1",
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  });
  await page.goto(`${cognito.domainUrl}${path}?${query}`);
  return page;
}

async function fill(page: Page, values: { username?: string; password?: string; code?: string }): Promise<void> {
  for (const [name, value] of Object.entries(values)) await page.locator(`input[name=${name}]:visible`).fill(value);
}

const alertOf = (page: Page) => page.getByRole("alert").textContent();
const lastCode = () => emails.at(-1)?.code ?? "";

async function signUp(page: Page): Promise<void> {
  await fill(page, { username: EMAIL, password: PASSWORD });
  await page.getByRole("button", { name: "Sign up" }).click();
  await page.waitForURL(/\/confirmUser/);
}

/** Waits until the browser returns to the frontend. Returns the authorization code. */
async function returned(page: Page): Promise<string | null> {
  await page.waitForURL(`${CALLBACK}**`);
  const query = new URL(page.url()).searchParams;
  expect(query.get("state")).toBe("state-1");
  return query.get("code");
}

/** Exchanges a code for tokens. Returns the customer's `sub` from the ID token. */
async function subOf(code: string): Promise<string> {
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: CLIENT,
    redirect_uri: CALLBACK,
    code,
    code_verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
  });
  const response = await fetch(`${cognito.domainUrl}/oauth2/token`, { method: "POST", body });
  const { id_token: idToken } = (await response.json()) as { id_token: string };
  return decodeJwt(idToken).sub ?? "";
}

async function picture(page: Page, name: string): Promise<void> {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

describe("The pages of Cognito", needsBrowser, () => {
  it("let a new customer sign up, return to the frontend and sign in again", async () => {
    const page = await open("/oauth2/authorize");
    await page.getByRole("link", { name: "Sign up" }).click();
    await signUp(page);
    await fill(page, { code: lastCode() });
    await page.getByRole("button", { name: "Confirm account" }).click();
    expect(await returned(page)).not.toBeNull();
    const again = await open("/oauth2/authorize");
    expect(await again.getByRole("button", { name: EMAIL }).count()).toBe(0);
    await fill(again, { username: EMAIL, password: PASSWORD });
    await again.getByRole("button", { name: "Sign in", exact: true }).click();
    expect(await returned(again)).not.toBeNull();
  });

  it("refuse a sign-in without a password when a changed form names a signed-up customer", async () => {
    const signedUp = await open("/signup");
    await signUp(signedUp);
    await fill(signedUp, { code: lastCode() });
    await signedUp.getByRole("button", { name: "Confirm account" }).click();
    const sub = await subOf((await returned(signedUp)) ?? "");
    const page = await open("/login");
    const seeded = page.getByRole("button", { name: "free@example.com" });
    expect(await page.locator("button[name=customer]").count()).toBe(1);
    await seeded.evaluate((button, value) => button.setAttribute("value", value), sub);
    await seeded.click();
    expect(await alertOf(page)).toBe("Incorrect username or password.");
  });

  it("open /signup and /forgotPassword directly with the query of a sign-in", async () => {
    expect(await (await open("/signup")).getByRole("heading").textContent()).toBe("Sign up");
    expect(await (await open("/forgotPassword")).getByRole("heading").textContent()).toBe("Reset your password");
  });

  it("show why a sign-up is refused, and keep the e-mail address in the form", async () => {
    const page = await open("/signup");
    await fill(page, { username: EMAIL, password: "short" });
    await page.getByRole("button", { name: "Sign up" }).click();
    expect(await alertOf(page)).toBe("Password did not conform with policy: Password not long enough");
    expect(await page.locator("input[name=username]").inputValue()).toBe(EMAIL);
    await fill(page, { username: "free@example.com", password: PASSWORD });
    await page.getByRole("button", { name: "Sign up" }).click();
    expect(await alertOf(page)).toBe("User already exists");
  });

  it("ask an unconfirmed customer for the code at sign-in, and send a new code", async () => {
    await signUp(await open("/signup"));
    const first = lastCode();
    const page = await open("/login");
    await expect(page.getByRole("button", { name: EMAIL }).count()).resolves.toBe(0);
    await fill(page, { username: EMAIL, password: PASSWORD });
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.waitForURL(/\/confirmUser/);
    await fill(page, { code: first === "000000" ? "000001" : "000000" });
    await page.getByRole("button", { name: "Confirm account" }).click();
    expect(await alertOf(page)).toBe("Invalid verification code provided, please try again.");
    await page.getByRole("button", { name: "Send a new code" }).click();
    await expect.poll(() => emails.length).toBe(2);
    await page.waitForURL(/\/confirmUser/);
    await fill(page, { code: lastCode() });
    await page.getByRole("button", { name: "Confirm account" }).click();
    expect(await returned(page)).not.toBeNull();
  });

  it("set a new password after a reset, and refuse the old password", async () => {
    const page = await open("/login");
    await page.getByRole("link", { name: "Forgot your password?" }).click();
    await fill(page, { username: "free@example.com" });
    await page.getByRole("button", { name: "Send code" }).click();
    await page.waitForURL(/\/confirmForgotPassword/);
    await fill(page, { code: lastCode(), password: "another-mama-2" });
    await page.getByRole("button", { name: "Change password" }).click();
    expect(await page.getByRole("status").textContent()).toContain("Your password is changed");
    await fill(page, { password: PASSWORD });
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    expect(await alertOf(page)).toBe("Incorrect username or password.");
    await fill(page, { password: "another-mama-2" });
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    expect(await returned(page)).not.toBeNull();
  });

  it.each([
    ["ja", "desktop", desktop],
    ["ja", "phone", phone],
    ["en", "desktop", desktop],
    ["en", "phone", phone],
  ] as const)(
    "fit on the screen in %s on a %s, use one language and link to the other language",
    async (language, device, viewport) => {
      await signUp(await open("/signup"));
      for (const path of ["/login", "/signup", "/forgotPassword"]) {
        const page = await open(path, language, viewport);
        expect(await page.locator("html").getAttribute("lang")).toBe(language);
        expect(await page.getByRole("link", { name: language === "ja" ? "English" : "日本語" }).count()).toBe(1);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width);
        await picture(page, `${language}-${device}-${path.slice(1)}`);
      }
      const reset = await open("/forgotPassword", language, viewport);
      await fill(reset, { username: "free@example.com" });
      await reset.locator("button.main").click();
      await reset.waitForURL(/\/confirmForgotPassword/);
      await fill(reset, { code: "12", password: "short" });
      await reset.locator("button.main").click();
      await reset.getByRole("alert").waitFor();
      await picture(reset, `${language}-${device}-confirmForgotPassword`);
      const login = await open("/login", language, viewport);
      await fill(login, { username: EMAIL, password: PASSWORD });
      await login.locator("button.main").click();
      await login.waitForURL(/\/confirmUser/);
      await picture(login, `${language}-${device}-confirmUser`);
    },
  );
});

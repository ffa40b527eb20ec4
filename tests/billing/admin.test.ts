import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { create } from "../../functions/admin";
import { startSsm } from "../../local/aws/ssm";
import { AwsAccount } from "../../local/aws/support/account";
import { type CognitoDouble, startCognito } from "../../local/cognito/cognito";
import { Events } from "../../local/support/events";
import type { Listening } from "../../local/support/http";
import { answered, billingFixture, delivery } from "./fixture";

// These tests call the admin function with real tables, a Stripe account and a user pool.
const on = billingFixture();
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
vi.spyOn(console, "info").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const PARAMETER_TYPE = "aws:ssm/parameter:Parameter";
const POOL = "ap-northeast-1_Stage12AB";
/** Setting of the program's pool. */
const caseInsensitive = { usernameConfiguration: { caseSensitive: false } };
const user = (email: string) => ({ email, sub: randomUUID() as string, password: "-", label: email });
const mori = user("mori@example.com");
const quoted = user('o"hara\\@example.com');
const capitals = user("Sakura.Mama@Example.com");
const twins = [user("twin@example.com"), user("twin@example.com")] as const;

let cognito: CognitoDouble;
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-admin-"));
beforeAll(async () => {
  const account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
  account.put({
    type: "aws:cognito/userPool:UserPool",
    id: POOL,
    inputs: {},
    outputs: { id: POOL, ...caseInsensitive },
  });
  cognito = await startCognito({
    account,
    dir: join(dir, "cognito"),
    ports: { domain: 0, idp: 0 },
    customers: [mori, quoted, capitals, ...twins],
    events: new Events(),
  });
});
afterAll(async () => {
  await cognito.close();
  rmSync(dir, { recursive: true });
});

/** The admin function, after a cold start. */
function admin(request: object, { cognitoUrl = cognito.idpUrl, userPoolId = POOL } = {}) {
  vi.stubEnv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", cognitoUrl);
  return create({ ...on().settings, userPoolId, candidatesPath: "/candidates" })(request);
}
const refused = (message: RegExp) => ({ error: { code: "invalid_input", message: expect.stringMatching(message) } });

/** Creates a subscriber with a correct user row. */
async function known(userId?: string) {
  const one = await on().subscriber(userId);
  const [created] = (await on().stripe.events.list({ type: "customer.subscription.created" })).data;
  await answered(on().webhook(delivery(JSON.stringify(created))));
  return { ...one, event: created?.id };
}

describe("admin with an e-mail address or a sub of the user pool", () => {
  it.each([
    ["an e-mail address", mori.email, mori],
    ["an e-mail address in another case", "Mori@Example.com", mori],
    ["a lower-case e-mail address of a user who signed up with capitals", "sakura.mama@example.com", capitals],
    ["an e-mail address with characters that a filter must escape", quoted.email, quoted],
    ["a sub", mori.sub, mori],
  ])("grants, shows and revokes a plan for %s", async (_name, text, { sub }) => {
    expect(await admin({ command: "grant", user: text, plan: "vip" })).toMatchObject({ user_id: sub, plan: "vip" });
    expect(await admin({ command: "show", user: text })).toMatchObject({ user_id: sub, plan: "vip" });
    expect(await admin({ command: "revoke", user: text })).toMatchObject({ user_id: sub, plan: "free" });
  });

  it("shows the free plan for a user without a row, and creates no row", async () => {
    const [{ sub }] = twins;
    expect(await admin({ command: "show", user: sub })).toMatchObject({ user_id: sub, plan: "free", row: null });
    for (const command of ["resync", "revoke", "unlink"])
      expect(await admin({ command, user: sub })).toMatchObject(refused(/^user: .* has no row$/));
    expect(await on().rows.get(sub)).toBeUndefined();
  });
});

describe("admin with a user that the user pool does not have", () => {
  it.each(["grant", "show", "revoke"])("%s refuses a mistyped sub and a mistyped e-mail address", async (command) => {
    const more = command === "grant" ? { plan: "vip" } : {};
    const typo = randomUUID();
    const ask = (text: string) => admin({ command, user: text, ...more });
    expect(await ask(typo)).toMatchObject(refused(/^user: (the user pool has no user with the sub|.* has no row)/));
    expect(await ask("nori@example.com")).toMatchObject(
      refused(/^user: the user pool has no user with the e-mail address nori@example.com$/),
    );
    expect(await on().rows.get(typo)).toBeUndefined();
  });

  it("logs an operator's mistake as information, because the doctor warns of error lines", async () => {
    await admin({ command: "show", user: "nobody@example.com" });
    expect(console.info).toHaveBeenCalledWith({ admin: "show", code: "invalid_input" });
    expect(console.error).not.toHaveBeenCalled();
  });

  it("refuses an e-mail address that several users share, and lists their subs", async () => {
    const answer = await admin({ command: "grant", user: "twin@example.com", plan: "vip" });
    expect(answer).toMatchObject(refused(new RegExp(`several users .*${twins[0].sub}, ${twins[1].sub}$`)));
    for (const { sub } of twins) expect(await on().rows.get(sub)).toBeUndefined();
  });

  it("still shows the row and revokes the plan, but refuses a grant", async () => {
    const { userId, customer } = await known();
    expect(await admin({ command: "show", user: userId })).toMatchObject({ plan: "paid" });
    expect(await admin({ command: "revoke", user: customer })).toMatchObject({ plan: "paid" });
    expect(await admin({ command: "grant", user: customer, plan: "vip" })).toMatchObject(
      refused(/no user with the sub/),
    );
  });

  it.each([
    "guest:0b7c9b1e-2f0e-4c4c-8f43-0a3c5c8f9c11",
    " 3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001",
    "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c000",
    "mori@example.com ",
    "@",
    "cus_",
  ])("refuses %j, which is neither an e-mail address nor an id", async (text) => {
    expect(await admin({ command: "grant", user: text, plan: "vip" })).toMatchObject(
      refused(/^user: must be an e-mail/),
    );
  });
});

describe("admin while Cognito does not answer", () => {
  it.each([
    ["is down", { cognitoUrl: "http://127.0.0.1:1" }],
    ["does not know the pool", { userPoolId: "ap-northeast-1_Nobody123" }],
  ])("grants nothing when Cognito %s", async (_name, where) => {
    expect(await admin({ command: "grant", user: twins[0].sub, plan: "vip" }, where)).toMatchObject({
      error: { code: "unavailable", message: expect.stringMatching(/ Cause: user pool: \S/) },
    });
    expect(await on().rows.get(twins[0].sub)).toBeUndefined();
  });

  it("logs the failure as an error, with its cause", async () => {
    await admin({ command: "show", user: mori.email }, { cognitoUrl: "http://127.0.0.1:9" });
    expect(console.error).toHaveBeenCalledWith({
      admin: "show",
      code: "unavailable",
      cause: expect.stringMatching(/./),
    });
  });

  it("shows a user who has a row", async () => {
    const { userId } = await known();
    expect(await admin({ command: "show", user: userId }, { cognitoUrl: "http://127.0.0.1:1" })).toMatchObject({
      plan: "paid",
    });
  });
});

describe("admin of a stack without a Stripe key", () => {
  const withoutKey = (request: object) => {
    const { stripeKeyParameter: _key, ...settings } = on().settings;
    return create({ ...settings, userPoolId: POOL, candidatesPath: "/candidates" })(request);
  };

  it("events says that the stack sells no plan, and where to read how to sell plans", async () => {
    expect(await withoutKey({ command: "events", limit: 20 })).toMatchObject(
      refused(/^events: the stack has no stripeApiKey, .* docs\/operations\.md, Sell plans$/),
    );
  });

  it("resync of a user with a Stripe customer names the missing key, and the row keeps its plan", async () => {
    const { userId } = await known();
    expect(await withoutKey({ command: "resync", user: userId })).toMatchObject({
      error: { code: "unavailable", message: expect.stringMatching(/Cause: the stack has no stripeApiKey$/) },
    });
    expect(await withoutKey({ command: "show", user: userId })).toMatchObject({ plan: "paid" });
  });
});

describe("admin with an invalid request", () => {
  it("returns an error that names the field", async () => {
    expect(await admin({ command: "show", user: "" })).toMatchObject({ error: { message: "user: must not be empty" } });
    expect(await admin({ command: "events", limit: 101 })).toMatchObject({
      error: { message: "limit: must be at most 100" },
    });
  });
});

describe("admin unlink", () => {
  it("removes the Stripe customer and its facts from the row, even during a sync, and keeps a granted plan", async () => {
    const { userId, customer } = await known(mori.sub);
    await admin({ command: "grant", user: userId, plan: "vip" });
    const { ticket } = await on().rows.takeTicket(userId, new Date());
    expect(await admin({ command: "unlink", user: customer })).toMatchObject({ user_id: userId, plan: "vip" });
    const row = await on().rows.get(userId);
    expect(row?.stripe_customer_id).toBeUndefined();
    expect(row?.subscriptions).toBeUndefined();
    const running = {
      facts: undefined,
      knownPlans: {},
      stripeStatus: null,
      stripeSubscriptionId: null,
      reviewAt: null,
    };
    const entitlement = { plan: "vip" as const, reason: "grant" as const, expiresAt: null };
    expect(await on().rows.apply(userId, ticket, { ...running, entitlement, now: new Date() })).toBe(false);
    expect(await admin({ command: "revoke", user: userId })).toMatchObject({ plan: "free" });
  });
});

describe("admin events", () => {
  it("shows the user and the Stripe customer of each event", async () => {
    const { userId, customer, event } = await known();
    expect(await admin({ command: "events", limit: 50 })).toMatchObject({
      events: expect.arrayContaining([
        expect.objectContaining({ id: event, outcome: "synced", user_id: userId, customer }),
      ]),
    });
  });
});

describe("admin with a model's candidate", () => {
  const url = "https://api.runpod.ai/v2/ep2";
  const configured = { image: "2026-12-01", url, share: 5, testers: ["tester"], isReady: true };
  let account: AwsAccount;
  let ssm: Listening;
  beforeAll(async () => {
    account = new AwsAccount(join(dir, "candidates.db"), "us-east-1");
    ssm = await startSsm(account, new Events());
  });
  afterAll(async () => {
    await ssm.close();
    account.close();
  });
  const stored = () => JSON.parse(String(account.get(PARAMETER_TYPE, "/candidates/mistral")?.outputs.value));
  const deploy = (candidate: object) => {
    const outputs = { type: "String", value: JSON.stringify(candidate), version: 1 };
    account.put({ type: PARAMETER_TYPE, id: "/candidates/mistral", inputs: {}, outputs });
  };
  const ask = async (request: object) => {
    const before = process.env.AWS_ENDPOINT_URL_SSM;
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
    const answer = await admin({ model: "mistral", ...request });
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", before);
    return answer;
  };

  it("shows the share in force, the configured one, the testers and the counts", async () => {
    deploy(configured);
    expect(await ask({ command: "candidate" })).toEqual({
      model: "mistral",
      image: "2026-12-01",
      endpoint: "ep2",
      is_ready: true,
      share: 5,
      configured_share: 5,
      testers: ["tester"],
      override: null,
      verdict: null,
      candidate: { replies: 0, failed: 0, empty: 0, invalid: 0, first_text_ms: null },
      released: { replies: 0, failed: 0, empty: 0, invalid: 0, first_text_ms: null },
      workers: null,
      events: [],
    });
  });

  it("sets a share without a deployment, and removes the override at the configured share", async () => {
    deploy(configured);
    const log = vi.spyOn(console, "log");
    expect(await ask({ command: "candidate-share", share: 25 })).toMatchObject({ share: 25, configured_share: 5 });
    expect(log).toHaveBeenCalledWith({ admin: "candidate-share", candidate: "mistral", share: 25 });
    expect(stored().override).toMatchObject({ share: 25, replaces: 5, by: "operator", isAborted: false });
    expect(await ask({ command: "candidate-share", share: 5 })).toMatchObject({ share: 5, override: null });
    expect(stored()).toEqual(configured);
  });

  it("has no share in force before a worker has answered", async () => {
    deploy({ ...configured, isReady: false });
    expect(await ask({ command: "candidate-share", share: 25 })).toMatchObject({ is_ready: false, share: 0 });
  });

  it("aborts for everybody, testers included", async () => {
    deploy(configured);
    expect(await ask({ command: "candidate-abort" })).toMatchObject({ share: 0, testers: [] });
    expect(stored().override).toMatchObject({ share: 0, isAborted: true, replaces: 5, by: "operator" });
  });

  it.each(["candidate", "candidate-share", "candidate-abort"])(
    "%s refuses a model without a candidate",
    async (command) => {
      const share = command === "candidate-share" ? { share: 5 } : {};
      expect(await ask({ command, model: "phi3", ...share })).toMatchObject(
        refused(/^model: phi3 has no candidate: set /),
      );
    },
  );

  it("refuses a share above 100 and an unknown model", async () => {
    expect(await ask({ command: "candidate-share", share: 101 })).toMatchObject(
      refused(/^share: must be at most 100$/),
    );
    expect(await ask({ command: "candidate", model: "gpt" })).toMatchObject(refused(/^model: must be one of phi3, /));
  });
});

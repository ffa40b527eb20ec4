import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import Stripe from "stripe";
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod/mini";
import { createApi } from "../../client";
import type { AdminEvent, AdminUser } from "../../contract/admin";
import { PlanResponse, planModels } from "../../contract/plan";
import { createEventLog } from "../../functions/tables/eventLog";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { customers } from "../../local/cloud/customers";
import { engineOptions } from "../../local/cloud/program";
import { up } from "../../local/pulumi/engine";
import { signedIn } from "../../local/visitor/customer";
import { webhookEvents } from "../../stripe/events";
import { type SuiteCloud, suiteCloud } from "../suiteCloud";

// Tests the whole billing over real sockets, with the Stripe double, the webhook's route and Lambda, the tables and the
// reconciler.
const owner = "snack-misaki/start";
let shared: SuiteCloud;
let cloud: SuiteCloud["cloud"];
let double: SuiteCloud["stripe"];
let outputs: SuiteCloud["outputs"];
let stripe: Stripe;

beforeAll(async () => {
  shared = await suiteCloud();
  ({ cloud, outputs, stripe: double } = shared);
  stripe = new Stripe(cloud.config().values["snack-misaki:stripeApiKey"] ?? "", {
    host: "localhost",
    port: double.port,
    protocol: "http",
  });
});

const admin = <T>(request: object) => cloud.aws.invoke("snack-misaki-start-admin", request) as Promise<T>;
const show = (user: string) => admin<AdminUser>({ command: "show", user });
/** Answer of the admin function for a user without a row and without an entry in the user pool. */
const noUser = { error: { code: "invalid_input", message: expect.stringContaining("the user pool has no user") } };

/** Returns a customer of the local user pool. */
function pooled(label: string): { email: string; sub: string } {
  const found = customers.find((one) => one.label === label);
  if (!found) throw new Error(`There is no customer ${label}`);
  return found;
}

/** Event log in which the functions record Stripe's events. */
function eventLog() {
  Object.assign(process.env, {
    AWS_REGION: cloud.aws.account.region,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_ENDPOINT_URL_DYNAMODB: cloud.aws.endpoints.dynamodb,
  });
  const tables = cloud.aws.account.list("aws:dynamodb/table:Table");
  return createEventLog(String(tables.find(({ outputs }) => outputs.hashKey === "pk")?.outputs.name));
}

/** Creates a customer with a card and a subscription, like Checkout does. */
async function subscriber({ userId = randomUUID() as string, as = owner } = {}) {
  const metadata = { user_id: userId, owner: as };
  const { id } = await stripe.customers.create({
    metadata,
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const subscription = await stripe.subscriptions.create({
    customer: id,
    items: [{ price: "price_local_paid" }],
    metadata,
  });
  return { userId, customer: id, subscription: subscription.id };
}

/** Polls until the condition is true. The error after the timeout contains the last value. */
async function until<T>(read: () => Promise<T>, isSo: (value: T) => boolean, patienceMs = 60_000): Promise<T> {
  for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
    const value = await read();
    if (isSo(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`The condition was not true in time. Last value: ${JSON.stringify(value)}`);
  }
}

/** Sends a POST request to the webhook. */
async function send(payload: string, headers: Record<string, string>): Promise<{ status: number; code?: string }> {
  const response = await fetch(outputs.webhookUrl, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: payload,
  });
  const body = (await response.json()) as { error?: { code: string } };
  return { status: response.status, ...(body.error && { code: body.error.code }) };
}

function signed(payload: string, change: { secret?: string; timestamp?: number } = {}): Record<string, string> {
  const [endpoint] = double.account.webhookEndpoints();
  const secret = endpoint?.secret ?? "";
  return { "stripe-signature": Stripe.webhooks.generateTestHeaderString({ payload, secret, ...change }) };
}

describe("POST /billing/sync", () => {
  it("links another Stripe customer of the caller when Stripe does not know the customer in the row", async () => {
    const [caller] = customers;
    if (!caller) throw new Error("There is no seeded customer");
    const { endpoints, account } = cloud.aws;
    const tables = account.list("aws:dynamodb/table:Table");
    const client = new DynamoDBClient({
      endpoint: endpoints.dynamodb,
      region: account.region,
      credentials: localCredentials,
    });
    await client.send(
      new UpdateItemCommand({
        TableName: String(tables.find(({ outputs }) => outputs.hashKey === "user_id")?.outputs.name),
        Key: { user_id: { S: caller.sub } },
        UpdateExpression: "SET stripe_customer_id = :gone, created_at = if_not_exists(created_at, :now)",
        ExpressionAttributeValues: { ":gone": { S: "cus_gone" }, ":now": { S: new Date().toISOString() } },
      }),
    );
    client.destroy();
    const metadata = { user_id: caller.sub, owner };
    const { id } = await stripe.customers.create({ email: caller.email, metadata });
    const { getIdToken } = await signedIn(outputs, cloud.pageUrl, caller);
    const headers = { authorization: `Bearer ${await getIdToken()}` };
    const response = await fetch(`${outputs.apiUrl}/billing/sync`, { method: "POST", headers });
    expect(response.status).toBe(200);
    expect((await show(caller.sub)).row).toMatchObject({ stripe_customer_id: id });
    // Resets the row.
    await suiteCloud();
  });
});

describe("Webhook", () => {
  it("changes the customer's plan after a Stripe event", async () => {
    const { userId, subscription } = await subscriber();
    await until(
      () => show(userId),
      ({ plan, reason }) => plan === "paid" && reason === "subscription",
    );
    await stripe.subscriptions.cancel(subscription);
    const after = await until(
      () => show(userId),
      ({ plan }) => plan === "free",
    );
    expect(after).toMatchObject({ reason: "canceled", row: { plan: "free", stripe_status: "canceled" } });
  });

  it("rejects events with an invalid or old signature and events of Stripe's live mode", async () => {
    const { customer } = await subscriber();
    const [newest] = (await stripe.events.list({ limit: 1, type: "customer.subscription.created" })).data;
    const event = { ...newest, data: { object: { id: "sub_1", object: "subscription", customer } } };
    const payload = JSON.stringify(event);
    const seconds = Math.floor(Date.now() / 1000);
    const refused = { status: 400, code: "signature_invalid" };
    expect(await send(payload, {})).toEqual(refused);
    expect(await send(payload, { "stripe-signature": "t=1,v1=00" })).toEqual(refused);
    expect(await send(payload, signed(payload, { secret: "whsec_of_somebody_else" }))).toEqual(refused);
    expect(await send(payload, signed(payload, { timestamp: seconds - 400 }))).toEqual(refused);
    expect(await send(payload, signed(payload, { timestamp: seconds + 86_400 }))).toEqual(refused);
    expect(await send(`${payload} `, signed(payload))).toEqual(refused);
    expect(await send("not JSON", signed("not JSON"))).toEqual(refused);
    const none = JSON.stringify({ object: "subscription", id: "sub_1" });
    expect(await send(none, signed(none))).toEqual(refused);
    const live = JSON.stringify({ ...event, livemode: true });
    expect(await send(live, signed(live))).toEqual(refused);
    const long = JSON.stringify({ ...event, padding: "x".repeat(300_000) });
    expect(await send(long, signed(long))).toEqual({ status: 413, code: "too_long" });
    expect(await send(payload, signed(payload))).toEqual({ status: 200 });
  });

  it("ignores events of unknown types and events for customers of another stack", async () => {
    const theirs = await subscriber({ as: "snack-misaki/another" });
    const events = (await stripe.events.list({ limit: 100 })).data.filter(
      ({ type, data }) =>
        type === "customer.subscription.created" && (data.object as Stripe.Subscription).id === theirs.subscription,
    );
    for (const event of events) {
      const payload = JSON.stringify(event);
      expect(await send(payload, signed(payload))).toEqual({ status: 200 });
    }
    const other = JSON.stringify({ ...events[0], type: "invoice.created" });
    expect(await send(other, signed(other))).toEqual({ status: 200 });
    expect(await show(theirs.userId)).toMatchObject(noUser);
  });

  it("responds with 503 while Stripe's API fails, and with 200 after that", async () => {
    const { userId, subscription } = await subscriber();
    await until(
      () => show(userId),
      ({ plan }) => plan === "paid",
    );
    double.switches.apiFailureStatus = 500;
    double.switches.apiFailures = 10_000;
    const [event] = (await Promise.resolve(double.account.ledger.all("event"))).filter(
      ({ data }) => (data.object as { id?: string }).id === subscription,
    );
    const payload = JSON.stringify(event);
    expect(await send(payload, signed(payload))).toEqual({ status: 503, code: "unavailable" });
    double.switches.apiFailures = 0;
    expect(await send(payload, signed(payload))).toEqual({ status: 200 });
  });
});

describe("Reconciler", () => {
  const reconcile = () => cloud.aws.invoke(reconcilerName(), {}) as Promise<Record<string, number>>;
  const reconcilerName = () =>
    String(
      cloud.aws.account.list("aws:lambda/function:Function").find(({ id }) => id.includes("reconciler"))?.outputs.name,
    );

  it("runs every 15 minutes", () => {
    const schedules = cloud.aws.account.list("aws:scheduler/schedule:Schedule");
    const own = schedules.filter(({ id }) => id.includes("reconciler"));
    expect(own.map(({ outputs }) => outputs.scheduleExpression)).toEqual(["rate(15 minutes)"]);
  });

  it("syncs each row whose review time has passed", async () => {
    const { userId } = await subscriber();
    await until(
      () => show(userId),
      ({ plan }) => plan === "paid",
    );
    const granted = await admin<AdminUser>({
      command: "grant",
      user: pooled("free").email,
      plan: "vip",
      until: new Date(Date.now() + 1_500).toISOString(),
    });
    expect(granted).toMatchObject({ plan: "vip", row: { plan: "vip" } });
    await sleep(2_000);
    // Stripe sends no event when a grant ends, so the row contains the old plan until the reconciler updates it.
    expect(await show(granted.user_id)).toMatchObject({ plan: "free", reason: "grant_expired", row: { plan: "vip" } });
    expect((await reconcile()).reviews).toBeGreaterThanOrEqual(1);
    expect((await show(granted.user_id)).row).toMatchObject({ plan: "free" });
    expect((await show(granted.user_id)).row).not.toHaveProperty("needs_review_at");
    await admin({ command: "revoke", user: granted.user_id });
  });
});

describe("npm run admin", () => {
  const cli = async (...args: string[]) => {
    const run = promisify(execFile)(process.execPath, [
      "cli/run.cjs",
      "ops/admin/admin.ts",
      "--dir",
      shared.dir,
      ...args,
    ]);
    return run.then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, out: stderr }),
    );
  };

  it("shows a user by user id and by Stripe customer id", async () => {
    const { userId, customer } = await subscriber();
    await until(
      () => show(userId),
      ({ plan }) => plan === "paid",
    );
    const seen = JSON.parse((await cli("show", userId, "--json")).out);
    expect(seen).toMatchObject({
      user_id: userId,
      plan: "paid",
      reason: "subscription",
      row: { stripe_customer_id: customer },
    });
    expect((await cli("show", customer)).out).toContain("subscription");
  });

  it("grants and revokes a plan by e-mail address and prints the reason when the input is invalid", async () => {
    const { email: user, sub } = pooled("free");
    expect(
      JSON.parse((await cli("grant", user, "vip", "--until", "2099-01-31", "--note", "an old friend", "--json")).out),
    ).toMatchObject({
      user_id: sub,
      plan: "vip",
      reason: "grant",
      row: { grant_note: "an old friend", plan: "vip" },
    });
    expect(JSON.parse((await cli("revoke", user, "--json")).out)).toMatchObject({
      plan: "free",
      row: { plan: "free" },
    });
    expect(await cli("grant", user, "gold")).toEqual({
      code: 1,
      out: expect.stringContaining("plan: must be paid or vip, not gold"),
    });
    expect(await cli("grant", user, "vip", "--until", "2001-01-01")).toEqual({
      code: 1,
      out: expect.stringContaining("until: must be in the future"),
    });
    expect(await cli("show", "cus_nobody")).toEqual({
      code: 1,
      out: expect.stringContaining("no row has the Stripe customer cus_nobody"),
    });
    expect(await cli("resync")).toEqual({ code: 1, out: expect.stringContaining("name a user, or give --all") });
  });

  it.each(["", "2027-02-31", "2027", "tomorrow", "2027-13-01T00:00:00Z"])(
    "rejects %j as the end of a grant",
    async (text) => {
      const user = pooled("free").email;
      const { code, out } = await cli("grant", user, "vip", "--until", text);
      expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining("--until: must be a date") });
      expect((await show(user)).row).not.toHaveProperty("grant_plan");
    },
  );

  it("prints errors as one JSON object on stdout with --json", async () => {
    const failed = async (...args: string[]) => {
      const command = [process.execPath, "cli/run.cjs", "ops/admin/admin.ts", "--dir", shared.dir, "--json", ...args];
      const [file = "", ...rest] = command;
      const run = promisify(execFile)(file, rest);
      return run.catch(({ code, stdout, stderr }) => ({ code, answer: JSON.parse(stdout), stderr }));
    };
    const message = (text: string) => ({
      code: 1,
      stderr: "",
      answer: { error: { message: expect.stringContaining(text) } },
    });
    expect(await failed("show", "mori")).toEqual(message("user: must be an e-mail address"));
    expect(await failed("grant", "nori@example.com", "vip")).toEqual(message("user: the user pool has no user"));
    expect(await failed("grant", randomUUID(), "vip")).toEqual(message("user: the user pool has no user"));
    expect(await failed("show", "")).toEqual(message("user: must not be empty"));
    expect(await failed("grant", randomUUID(), "gold")).toEqual(message("plan: must be paid or vip"));
    expect(await failed("show")).toEqual(message("missing required argument 'user'"));
  });

  it("shows no end date for a user of the free plan", async () => {
    const { out } = await cli("show", pooled("free").sub);
    expect(out).toContain("free");
    expect(out).not.toContain("until");
  });

  it("grants and revokes a plan while Stripe's API fails", async () => {
    const { userId, customer, subscription } = await subscriber({ userId: pooled("paid").sub });
    await until(
      () => show(userId),
      ({ row }) => row?.stripe_customer_id === customer && row.stripe_status === "active",
    );
    Object.assign(double.switches, { apiFailures: 1_000, apiFailureStatus: 500 });
    try {
      expect(await admin({ command: "grant", user: userId, plan: "vip" })).toMatchObject({ plan: "vip" });
      expect(await admin({ command: "revoke", user: userId })).toMatchObject({ plan: "paid" });
    } finally {
      double.switches.apiFailures = 0;
      await stripe.subscriptions.cancel(subscription);
    }
  });

  it("resyncs one user or all users after lost events", async () => {
    double.switches.lose = true;
    const { userId, subscription } = await subscriber();
    // No event arrived, so the customer has no row.
    expect(await show(userId)).toMatchObject(noUser);
    double.switches.lose = false;
    const known = await subscriber();
    await until(
      () => show(known.userId),
      ({ plan }) => plan === "paid",
    );
    double.switches.lose = true;
    await stripe.subscriptions.cancel(known.subscription);
    expect(JSON.parse((await cli("resync", known.userId, "--json")).out).synced[0]).toMatchObject({
      plan: "free",
      reason: "canceled",
    });
    expect(JSON.parse((await cli("resync", "--all", "--json")).out)).toMatchObject({ failed: [] });
    double.switches.lose = false;
    await stripe.subscriptions.cancel(subscription);
  });

  it("lists Stripe's events with the outcome of each event", async () => {
    const { userId } = await subscriber();
    await until(
      () => show(userId),
      ({ plan }) => plan === "paid",
    );
    await double.settled();
    const events = JSON.parse((await cli("events", "--limit", "50", "--json")).out) as AdminEvent[];
    expect(events).toHaveLength(50);
    expect(events.find(({ type }) => type === "customer.subscription.created")).toMatchObject({
      delivered: true,
      outcome: "synced",
    });
    expect(events.find(({ type }) => type === "invoice.created")).toMatchObject({ outcome: "ignored" });
    expect((await cli("events")).out).toContain("customer.subscription.created");
  });
});

describe("Webhook secret rotation", () => {
  it("loses no event while Stripe sends events continuously", async () => {
    const stream = await Promise.all(Array.from({ length: 5 }, () => subscriber()));
    const before = new Set(double.account.ledger.all("event").map(({ id }) => id));
    let streaming = true;
    let changes = 0;
    const streamed = (async () => {
      for (; streaming; changes++) {
        const { subscription } = stream[changes % stream.length] ?? { subscription: "" };
        await stripe.subscriptions.update(subscription, { cancel_at_period_end: changes % 2 === 0 });
        await sleep(50);
      }
    })();
    await up(engineOptions(cloud, shared.programDir, shared.dir, { "billing.webhookSecretGeneration": 2 }));
    await sleep(500);
    streaming = false;
    await streamed;

    expect(changes).toBeGreaterThan(20);
    const sent = double.account.ledger
      .all("event")
      .filter(({ id, type }) => !before.has(id) && webhookEvents.some((known) => known === type));
    expect(sent.length).toBeGreaterThanOrEqual(changes);
    const unhandled = async () => {
      const ids = sent.map(({ id }) => id);
      const pages = ids.flatMap((_, at) => (at % 100 === 0 ? [ids.slice(at, at + 100)] : []));
      const handled = await Promise.all(pages.map((page) => eventLog().find(page)));
      return ids.filter((id) => !handled.some((found) => found.has(id)));
    };
    expect(await until(unhandled, (ids) => ids.length === 0)).toEqual([]);
    for (const { userId, subscription } of stream) {
      const { cancel_at, cancel_at_period_end } = await stripe.subscriptions.retrieve(subscription);
      const { row } = await until(
        () => show(userId),
        ({ row }) => {
          const [facts] = (row?.subscriptions ?? []) as { cancel_at: number | null }[];
          return facts?.cancel_at === cancel_at;
        },
      );
      expect(row).toMatchObject({ subscriptions: [{ cancel_at_period_end }] });
    }
  });
});

describe("Customer routes", () => {
  const apiOf = async (label: string) => {
    const customer = customers.find((one) => one.label === label);
    if (!customer) throw new Error(`There is no customer ${label}`);
    const { getIdToken } = await signedIn(outputs, cloud.pageUrl, customer);
    return { api: createApi({ apiUrl: outputs.apiUrl, getIdToken }), token: await getIdToken() };
  };

  it("answer a checkout request and a portal request with only a URL", async () => {
    const { api } = await apiOf("free");
    await expect(api.portal()).rejects.toMatchObject({ code: "nothing_bought" });
    expect(await api.sync()).toMatchObject({ plan: "free", reason: "no_plan" });
    const redirect = await api.checkout("paid");
    expect(redirect).toEqual({ url: expect.stringMatching(new RegExp(`^${double.url}/c/pay/cs_test_`)) });
    expect(await api.checkout("paid")).toEqual(redirect);
    const body = new URLSearchParams({ card_number: "4242424242424242" });
    const paid = await fetch(redirect.url, { method: "POST", body, redirect: "manual" });
    expect(paid.headers.get("location")).toBe(`${cloud.pageUrl}/?checkout=success`);
    expect(z.strictObject(PlanResponse.shape).parse(await api.sync())).toMatchObject({
      plan: "paid",
      reason: "subscription",
    });
    await expect(api.checkout("vip")).rejects.toMatchObject({ code: "already_subscribed" });
    expect(await api.portal()).toEqual({ url: expect.stringMatching(new RegExp(`^${double.url}/p/session/bps_`)) });
    expect(await api.session()).toMatchObject({ plan: "paid", model: planModels.paid });
  });

  it("redirect from Checkout to the calling frontend, or to the default page for an unknown origin", async () => {
    const { token } = await apiOf("vip");
    const from = async (origin: string | undefined) => {
      const headers = { authorization: `Bearer ${token}`, ...(origin && { origin }) };
      const answer = await fetch(`${outputs.apiUrl}/billing/checkout`, {
        method: "POST",
        headers,
        body: '{"plan":"paid"}',
      });
      const { url } = (await answer.json()) as { url: string };
      return (await stripe.checkout.sessions.retrieve(url.split("/").at(-1) ?? "")).success_url;
    };
    expect(await from("http://localhost:5173")).toBe("http://localhost:5173/?checkout=success");
    expect(await from("https://evil.example")).toBe(`${cloud.pageUrl}/?checkout=success`);
    expect(await from(undefined)).toBe(`${cloud.pageUrl}/?checkout=success`);
  });

  it("accept only the name of a paid plan in a checkout request", async () => {
    const { token } = await apiOf("vip");
    const ask = async (body: string) => {
      const init = { method: "POST", headers: { authorization: `Bearer ${token}` }, body };
      return (await fetch(`${outputs.apiUrl}/billing/checkout`, init)).json();
    };
    const error = (message: string) => ({ error: { code: "invalid_input", message, retryable: false } });
    expect(await ask('{"plan":"free"}')).toEqual(error("body.plan: must be one of paid, vip"));
    expect(await ask("{}")).toEqual(error("body.plan: must be one of paid, vip"));
    expect(await ask('{"plan":"vip","price":"price_1"}')).toEqual(error("body: unknown field price"));
    expect(await ask('{"plan":"vip","success_url":"https://evil.example"}')).toEqual(
      error("body: unknown field success_url"),
    );
  });

  it("respond with 401 without a token", async () => {
    for (const route of ["/billing/checkout", "/billing/portal", "/billing/sync"]) {
      expect((await fetch(`${outputs.apiUrl}${route}`, { method: "POST", body: "{}" })).status).toBe(401);
    }
  });
});

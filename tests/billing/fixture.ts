import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, vi } from "vitest";
import type { Handler, Request } from "../../functions/lib/http";
import type { BillingSettings } from "../../functions/stripe/billing";
import { createUserRows, type UserRows } from "../../functions/tables/userRows";
import { create as createWebhook } from "../../functions/webhook";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { type StripeDouble, startStripe } from "../../local/stripe/server";
import { Events } from "../../local/support/events";
import { engines } from "../tables/engines";
import { openDatabase, type Tables } from "../tables/tables";
import { type FaultProxy, startFaultProxy } from "./faultProxy";

const API_KEY = "rk_test_of_the_stage";
/** Stripe key that only the tests use. */
const OWN_KEY = "sk_test_of_the_test";
const OWNER = "snack-misaki/stage";

/** The functions in this process, real tables, a Stripe account, and fault proxies between them. */
export interface BillingFixture {
  settings: BillingSettings & { ephemeralTable: string; webhookSecretParameter: string };
  tables: Tables;
  /** Stripe without the fault proxy. */
  stripe: Stripe;
  double: StripeDouble;
  /** Parameter Store values by name. */
  parameters: Map<string, string>;
  between: { stripe: FaultProxy; dynamodb: FaultProxy; ssm: FaultProxy };
  rows: UserRows;
  webhook: Handler;
  /** Replaces the key at Stripe and in Parameter Store. Stripe then rejects the earlier key. */
  replaceApiKey(key: string): void;
  /** Creates another webhook handler, as after a cold start. */
  newWebhook(change?: Partial<BillingSettings>): Handler;
  /** Creates a paying Stripe customer the way the checkout does. */
  subscriber(userId?: string): Promise<{ userId: string; customer: string; subscription: string }>;
}

/** Name of the parameter with the webhook secret. */
export const SECRET_PARAMETER = "/stage/webhook-secret";
/** The webhook signing secret. */
export const SECRET = "whsec_of_the_stage";

/** Starts the fixture for a test file. Call the returned function inside tests only. */
export function billingFixture(): () => BillingFixture {
  let current: BillingFixture | undefined;
  const closing: (() => unknown)[] = [];
  const closedLast = <T>(value: T, close: (value: T) => unknown): T => {
    closing.unshift(() => close(value));
    return value;
  };

  beforeAll(async () => {
    const dir = closedLast(mkdtempSync(join(tmpdir(), "snack-misaki-stage-")), (path) => {
      rmSync(path, { recursive: true, force: true });
    });
    const [dynalite] = engines;
    if (!dynalite) throw new Error("The list of database engines is empty");
    const database = closedLast(await openDatabase(dynalite), (it) => it.close());
    const tables = await database.make();
    const keys = [API_KEY, OWN_KEY];
    const double = closedLast(
      await startStripe({
        port: 0,
        dir,
        events: new Events(),
        keys,
        catalogue: [
          { priceId: "price_paid", product: "常連プラン", nickname: "paid", unitAmountYen: 980 },
          { priceId: "price_vip", product: "VIPプラン", nickname: "vip", unitAmountYen: 2_980 },
        ],
      }),
      (it) => it.close(),
    );
    const parameters = new Map([
      ["/stage/api-key", API_KEY],
      [SECRET_PARAMETER, JSON.stringify({ current: SECRET })],
    ]);
    const account = {
      get: (_type: string, id: string) =>
        parameters.has(id) ? { id, outputs: { type: "String", value: parameters.get(id) } } : undefined,
      list: () => [],
      arn: () => "",
    } as unknown as AwsAccount;
    const ssm = closedLast(await startSsm(account, new Events()), (it) => it.close());
    const faultProxyOf = async (url: string) => closedLast(await startFaultProxy(url), (it) => it.close());
    const between = {
      stripe: await faultProxyOf(double.url),
      dynamodb: await faultProxyOf(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? ""),
      ssm: await faultProxyOf(ssm.url),
    };
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", between.dynamodb.url);
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", between.ssm.url);
    const settings = {
      stripeApiUrl: between.stripe.url,
      stripeKeyParameter: "/stage/api-key",
      stripeOwner: OWNER,
      usersTable: tables.users,
      ephemeralTable: tables.ephemeral,
      webhookSecretParameter: SECRET_PARAMETER,
      policy: { prices: { paid: ["price_paid"], vip: ["price_vip"] }, graceDays: 7 },
    };
    const stripe = new Stripe(OWN_KEY, { protocol: "http", host: "localhost", port: double.port, telemetry: false });
    current = {
      settings,
      tables,
      stripe,
      double,
      parameters,
      between,
      rows: createUserRows(tables.users),
      webhook: createWebhook(settings),
      replaceApiKey(key) {
        keys.splice(0, 1, key);
        parameters.set("/stage/api-key", key);
      },
      newWebhook: (change) => createWebhook({ ...settings, ...change }),
      async subscriber(userId = randomUUID() as string) {
        const metadata = { user_id: userId, owner: OWNER };
        const customer = await stripe.customers.create({
          metadata,
          payment_method: "pm_card_visa",
          invoice_settings: { default_payment_method: "pm_card_visa" },
        });
        const items = [{ price: "price_paid" }];
        const { id } = await stripe.subscriptions.create({ customer: customer.id, items, metadata });
        return { userId, customer: customer.id, subscription: id };
      },
    };
  });
  afterEach(() => {
    for (const faultProxy of Object.values(current?.between ?? {})) faultProxy.fault = () => undefined;
  });
  afterAll(async () => {
    for (const close of closing.splice(0)) await close();
  });

  return () => {
    if (!current) throw new Error("Use billingFixture only inside a test");
    return current;
  };
}

/** Part of an API Gateway request that the functions read. */
export const requestContext = { requestContext: { requestId: "request-1" } };

/** Builds a webhook request, signed unless a signature is given. */
export function delivery(body: string, headers: Record<string, string> = {}): Request {
  const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret: SECRET });
  return {
    ...requestContext,
    body,
    headers: { "stripe-signature": signature, ...headers },
    isBase64Encoded: false,
  } as unknown as Request;
}

/** Builds an event in Stripe's format. */
export function event(type: string, object: Record<string, unknown>, more: Record<string, unknown> = {}): string {
  const created = Math.floor(Date.now() / 1000);
  return JSON.stringify({
    object: "event",
    id: `evt_${randomUUID()}`,
    type,
    livemode: false,
    created,
    data: { object },
    ...more,
  });
}

/** Awaits a handler's answer and parses its body. */
export async function answered(call: ReturnType<Handler>): Promise<{ status: number | undefined; body: never }> {
  const { statusCode, body = "" } = await call;
  return { status: statusCode, body: JSON.parse(body) as never };
}

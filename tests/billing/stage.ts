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
import { type Meddler, startMeddler } from "./faultProxy";

const API_KEY = "rk_test_of_the_stage";
const OWNER = "snack-misaki/stage";

/** The functions in this process, real tables and a Stripe account, and someone in between who changes what is said. */
export interface Stage {
  settings: BillingSettings & { ephemeralTable: string; webhookSecretParameter: string };
  tables: Tables;
  /** Past the meddler. */
  stripe: Stripe;
  double: StripeDouble;
  /** Parameter Store, by name. */
  parameters: Map<string, string>;
  between: { stripe: Meddler; dynamodb: Meddler; ssm: Meddler };
  rows: UserRows;
  webhook: Handler;
  /** Another one, as after a cold start. */
  newWebhook(change?: Partial<BillingSettings>): Handler;
  /** A customer of Stripe who pays, made as the checkout makes them. */
  subscriber(userId?: string): Promise<{ userId: string; customer: string; subscription: string }>;
}

/** The parameter that the webhook's secret is in. */
export const SECRET_PARAMETER = "/stage/webhook-secret";
/** What Stripe signs with. */
export const SECRET = "whsec_of_the_stage";

/** Sets the stage for the tests of a file. Read it inside tests only. */
export function stage(): () => Stage {
  let current: Stage | undefined;
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
    if (!dynalite) throw new Error("There is no engine");
    const database = closedLast(await openDatabase(dynalite), (it) => it.close());
    const tables = await database.make();
    const double = closedLast(
      await startStripe({
        port: 0,
        dir,
        events: new Events(),
        keys: [API_KEY],
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
      arn: () => "",
    } as unknown as AwsAccount;
    const ssm = closedLast(await startSsm(account, new Events()), (it) => it.close());
    const meddlerOf = async (url: string) => closedLast(await startMeddler(url), (it) => it.close());
    const between = {
      stripe: await meddlerOf(double.url),
      dynamodb: await meddlerOf(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? ""),
      ssm: await meddlerOf(ssm.url),
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
    const stripe = new Stripe(API_KEY, { protocol: "http", host: "localhost", port: double.port, telemetry: false });
    current = {
      settings,
      tables,
      stripe,
      double,
      parameters,
      between,
      rows: createUserRows(tables.users),
      webhook: createWebhook(settings),
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
    for (const meddler of Object.values(current?.between ?? {})) meddler.meddle = () => undefined;
  });
  afterAll(async () => {
    for (const close of closing.splice(0)) await close();
  });

  return () => {
    if (!current) throw new Error("The stage is read inside tests only");
    return current;
  };
}

/** A webhook's request, signed unless a signature is given. */
export function delivery(body: string, headers: Record<string, string> = {}): Request {
  const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret: SECRET });
  return { body, headers: { "stripe-signature": signature, ...headers }, isBase64Encoded: false } as unknown as Request;
}

/** An event as Stripe writes it. */
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

/** What a function has answered. */
export async function answered(call: ReturnType<Handler>): Promise<{ status: number | undefined; body: never }> {
  const { statusCode, body = "" } = await call;
  return { status: statusCode, body: JSON.parse(body) as never };
}

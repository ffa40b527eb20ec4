import { randomUUID } from "node:crypto";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Handler, Request } from "../../functions/lib/http";
import { create as createPortal } from "../../functions/portal";
import { answered, billingFixture, delivery, event, requestContext } from "./fixture";
import { pool, signedInAs } from "./signedInAs";

// A subscriber changes the plan in Stripe's portal, because checkout refuses a second subscription.
const on = billingFixture();
const tokenOf = signedInAs();
let portal: Handler;

const log = () => JSON.stringify(vi.mocked(console.error).mock.calls);
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
beforeAll(() => {
  portal = createPortal({ ...on().settings, ...pool, returnUrls: ["https://app.example/"] });
});
afterEach(() => {
  on().double.switches.portal = "complete";
  vi.clearAllMocks();
});

async function open(user: string, body: object = {}): Promise<{ status: number | undefined; body: { url: string } }> {
  const headers = { authorization: `Bearer ${await tokenOf(user)}` };
  return answered(
    portal({ ...requestContext, body: JSON.stringify(body), isBase64Encoded: false, headers } as unknown as Request),
  );
}
async function subscriber() {
  const one = await on().subscriber(randomUUID());
  const paid = event("invoice.paid", { object: "invoice", id: "in_1", customer: one.customer });
  await answered(on().webhook(delivery(paid)));
  return one;
}
const flowOf = (url: string) => on().double.account.portalSession(url.split("/").at(-1) ?? "")?.flow;

describe("POST /billing/portal with a plan", () => {
  it("opens the page that confirms the change from paid to vip, and returns to the app afterwards", async () => {
    const { userId, subscription } = await subscriber();
    const { body } = await open(userId, { plan: "vip" });
    expect(flowOf(body.url)).toMatchObject({
      type: "subscription_update_confirm",
      subscription_update_confirm: { subscription, items: [{ price: "price_vip", quantity: 1 }] },
    });
    const form = new URLSearchParams({ subscription, price: "price_vip" });
    const confirmed = await fetch(`${body.url}/change`, { method: "POST", body: form, redirect: "manual" });
    expect(confirmed.headers.get("location")).toBe("https://app.example/?portal=return");
    const changed = await on().stripe.subscriptions.retrieve(subscription);
    expect(changed.items.data.map(({ price }) => price.id)).toEqual(["price_vip"]);
  });

  it("opens the portal's start page and raises an alarm when the portal does not allow plan changes", async () => {
    const { userId } = await subscriber();
    on().double.switches.portal = "fixedPlan";
    const { status, body } = await open(userId, { plan: "vip" });
    expect(status).toBe(200);
    expect(flowOf(body.url)).toBeNull();
    expect(log()).toContain("portal_cannot_change_plan");
  });

  it.each(["paid", undefined])(
    "opens the portal's start page for a paid subscriber who asks for the plan %s",
    async (plan) => {
      const { userId } = await subscriber();
      expect(flowOf((await open(userId, plan ? { plan } : {})).body.url)).toBeNull();
    },
  );

  it("answers nothing_bought when Stripe knows neither the customer nor the subscription of the row", async () => {
    const { userId } = await subscriber();
    await on().rows.link(userId, `cus_${randomUUID().slice(0, 8)}`, new Date());
    const find = vi.spyOn(on().double.account.ledger, "find").mockReturnValue(undefined);
    const answer = await open(userId, { plan: "vip" });
    find.mockRestore();
    expect(answer).toMatchObject({
      status: 409,
      body: { error: { code: "nothing_bought" } },
    });
  });

  it("opens the portal's start page after the subscription has ended", async () => {
    const { userId, customer, subscription } = await subscriber();
    await on().stripe.subscriptions.cancel(subscription);
    await answered(
      on().webhook(delivery(event("customer.subscription.deleted", { object: "subscription", id: "s", customer }))),
    );
    expect(flowOf((await open(userId, { plan: "vip" })).body.url)).toBeNull();
  });

  it("refuses a plan that is not sold", async () => {
    const { userId } = await subscriber();
    expect(await open(userId, { plan: "free" })).toMatchObject({
      status: 400,
      body: { error: { message: "body.plan: must be one of paid, vip" } },
    });
  });
});

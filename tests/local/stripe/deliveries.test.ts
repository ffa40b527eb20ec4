import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStripe } from "../../../local/stripe/server";
import { Events } from "../../../local/support/events";
import { API_KEY, stripeFixture } from "./fixture";

// Tests of webhook deliveries and their faults (https://docs.stripe.com/webhooks). The real SDK verifies each delivery.
const fixture = stripeFixture();

interface Delivery {
  body: string;
  headers: IncomingHttpHeaders;
}

const received: Delivery[] = [];
let answers: number[] = [];
let endpoint: Stripe.WebhookEndpoint;
const server = createServer(async (request, response) => {
  received.push({ body: await text(request), headers: request.headers });
  response.writeHead(answers.shift() ?? 200).end();
});

beforeEach(async () => {
  received.length = 0;
  answers = [];
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  endpoint = await fixture().stripe.webhookEndpoints.create({
    url: `http://127.0.0.1:${port}/webhook/stripe`,
    enabled_events: ["customer.created", "customer.deleted"],
    api_version: Stripe.API_VERSION,
  });
});

afterEach(() => new Promise((done) => server.close(done)));

const verified = ({ body, headers }: Delivery, secret = endpoint.secret ?? "") =>
  Stripe.webhooks.constructEvent(body, String(headers["stripe-signature"]), secret);
const eventIds = () => received.map(({ body }) => (JSON.parse(body) as Stripe.Event).id);

/** Creates customers one after another and waits for the deliveries. */
async function makeCustomers(count: number): Promise<void> {
  const { stripe, double } = fixture();
  for (let made = 0; made < count; made++) await stripe.customers.create({ name: `customer ${made}` });
  await double.settled();
}

describe("webhook event", () => {
  it("is signed with the endpoint's secret and contains the object's state at the time of the event", async () => {
    const { stripe, double } = fixture();
    const { id } = await stripe.customers.create({ name: "森" });
    await stripe.customers.update(id, { name: "星" });
    await double.settled();
    const [only] = received;
    const event = only && verified(only);
    expect(received).toHaveLength(1);
    expect(event).toMatchObject({
      object: "event",
      type: "customer.created",
      livemode: false,
      api_version: Stripe.API_VERSION,
      data: { object: { id, name: "森" } },
      request: { id: expect.stringMatching(/^req_/), idempotency_key: expect.any(String) },
    });
    expect(only?.headers["user-agent"]).toMatch(/^Stripe\//);
  });

  it("is sent to every subscribed endpoint and is signed with that endpoint's secret", async () => {
    const { stripe } = fixture();
    const second = await stripe.webhookEndpoints.create({ url: endpoint.url, enabled_events: ["*"] });
    await makeCustomers(1);
    expect(received).toHaveLength(2);
    const byFirst = received.filter((delivery) => isGood(() => verified(delivery)));
    const bySecond = received.filter((delivery) => isGood(() => verified(delivery, second.secret)));
    expect([byFirst.length, bySecond.length]).toEqual([1, 1]);
    expect(byFirst).not.toEqual(bySecond);
  });

  it("is not sent to a disabled endpoint or to an endpoint created later", async () => {
    const { stripe, double } = fixture();
    await stripe.webhookEndpoints.update(endpoint.id, { disabled: true });
    await makeCustomers(1);
    expect(received).toEqual([]);
    await stripe.webhookEndpoints.create({ url: endpoint.url, enabled_events: ["*"] });
    await double.settled();
    expect(received).toEqual([]);
  });

  it("is retried after a failure and counts as delivered only after the retry succeeds", async () => {
    const { stripe } = fixture();
    answers = [500];
    await makeCustomers(1);
    const [event] = (await stripe.events.list({ type: "customer.created" })).data;
    expect(event?.pending_webhooks).toBe(1);
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(2);
    await fixture().double.settled();
    expect(new Set(eventIds()).size).toBe(1);
    expect(received.every((delivery) => isGood(() => verified(delivery)))).toBe(true);
    expect((await stripe.events.retrieve(event?.id ?? "")).pending_webhooks).toBe(0);
    expect((await stripe.events.list({ delivery_success: false })).data.map(({ id }) => id)).not.toContain(event?.id);
  });
});

describe("Stripe double", () => {
  it("sends each delivery twice while the switch duplicate is on", async () => {
    fixture().double.switches.duplicate = true;
    await makeCustomers(2);
    expect(eventIds()).toHaveLength(4);
    expect(new Set(eventIds()).size).toBe(2);
  });

  it("holds deliveries back while the switch hold is on", async () => {
    const { double } = fixture();
    double.switches.hold = true;
    await makeCustomers(2);
    expect(received).toEqual([]);
    double.switches.hold = false;
    await double.release();
    await double.settled();
    expect(received).toHaveLength(2);
  });

  it("drops deliveries and marks their events as undelivered while the switch lose is on", async () => {
    const { stripe, double } = fixture();
    double.switches.lose = true;
    await makeCustomers(1);
    expect(received).toEqual([]);
    expect((await stripe.events.list({ delivery_success: false })).data).toHaveLength(1);
  });

  it("sends concurrent deliveries out of order while the switch reorder is on", async () => {
    const { stripe, double } = fixture();
    double.switches.reorder = true;
    const inOrder = () => {
      const order = received.map(({ body }) => body.match(/customer (\d+)/)?.[1] ?? "");
      return order.join() === order.toSorted((one, other) => Number(one) - Number(other)).join();
    };
    // The shuffled order of ten events is the original order only once in 3.6 million runs.
    await Promise.all(Array.from({ length: 10 }, (_, made) => stripe.customers.create({ name: `customer ${made}` })));
    await double.settled();
    expect(received).toHaveLength(10);
    expect(inOrder()).toBe(false);
  });

  it("delays deliveries when delayUpToMs is set", async () => {
    const { stripe, double } = fixture();
    double.switches.delayUpToMs = 1_000;
    await Promise.all(Array.from({ length: 20 }, () => stripe.customers.create()));
    // Twenty random delays are practically never all close to zero.
    expect(received.length).toBeLessThan(20);
    await double.settled();
    expect(received).toHaveLength(20);
  });

  it.each([
    ["signs with another secret while the switch wrongSecret is on", "wrongSecret", 0],
    ["dates signatures in the future while the switch futureTimestamp is on", "futureTimestamp", 1],
  ] as const)("%s", async (_name, key, good) => {
    fixture().double.switches[key] = true;
    await makeCustomers(1);
    expect(received.filter((delivery) => isGood(() => verified(delivery)))).toHaveLength(good);
    const time = Number(String(received[0]?.headers["stripe-signature"]).match(/t=(\d+)/)?.[1]);
    expect(time > Date.now() / 1000 + 3_600).toBe(key === "futureTimestamp");
  });

  it("lets other processes read and change its switches, and names the fields of an invalid change", async () => {
    const { double } = fixture();
    const change = (body: object) =>
      fetch(`${double.url}/admin/switches`, { method: "PATCH", body: JSON.stringify(body) });
    expect(await (await change({ lose: true })).json()).toMatchObject({ lose: true, duplicate: false });
    expect(double.switches.lose).toBe(true);
    const refused = await change({ apiFailureStatus: 200, loose: true });
    expect(refused.status).toBe(400);
    expect(await refused.text()).toMatch(/loose.*apiFailureStatus|apiFailureStatus.*loose/s);
    expect(await (await fetch(`${double.url}/admin/switches`)).json()).toEqual({ ...double.switches });
  });

  it("fails the next API requests when apiFailures is set", async () => {
    const { stripe, double } = fixture();
    for (const [status, type, times] of [
      [500, Stripe.errors.StripeAPIError, 1],
      [429, Stripe.errors.StripeRateLimitError, 1],
      // The SDK retries a request once after a closed connection, even with retries off.
      [0, Stripe.errors.StripeConnectionError, 2],
    ] as const) {
      for (const make of [() => stripe.customers.list(), () => stripe.customers.create()]) {
        Object.assign(double.switches, { apiFailures: times, apiFailureStatus: status });
        await expect(make()).rejects.toBeInstanceOf(type);
        await make();
      }
    }
  });
});

describe("Stripe account", () => {
  it("keeps its subscriptions after a restart", async () => {
    const { stripe, double, dir, customer, subscription } = fixture();
    const bought = await subscription(await customer());
    await double.close();
    const { port } = double;
    const again = await startStripe({ port, dir, events: new Events(), keys: [API_KEY], catalogue: [] });
    try {
      expect((await stripe.subscriptions.retrieve(bought.id)).status).toBe("active");
    } finally {
      await again.close();
    }
  });
});

function isGood(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

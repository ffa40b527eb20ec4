import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createApi } from "../../client";
import type { SessionResponse } from "../../contract/session";
import { signTicket, TICKET_SECONDS, verifyTicket } from "../../functions/core/ticket";
import { create, type Settings } from "../../functions/guest";
import { householdHash } from "../../functions/lib/household";
import type { Handler, Request } from "../../functions/lib/http";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import { type Listening, serve } from "../../local/support/http";
import { engines } from "../tables/engines";
import { type Database, openDatabase, type Tables } from "../tables/tables";
import { recordMetrics } from "./metricLines";
import { createTicketKeys, type TicketKeys } from "./ticketKeys";

const LIMIT = 30;
const RENEWAL_MS = 110_000;
const HOUR_MS = 3_600_000;
const issuer = "snack-misaki/test";
const limits = { max_tokens: 1, max_messages: 1, max_input_chars: 1 };

let database: Database;
let tables: Tables;
let ssm: Listening;
let gateway: Listening;
let guest: Handler;
let signingKey: TicketKeys["key"];
let jwks: TicketKeys["jwks"];
/** Address of the caller. */
let address: string;

beforeAll(async () => {
  const [dynalite] = engines;
  if (!dynalite) throw new Error("The list of database engines is empty");
  database = await openDatabase(dynalite);
  const keys = await createTicketKeys();
  signingKey = keys.key;
  jwks = keys.jwks;
  const parameter = { id: "/key", outputs: { type: "SecureString", value: JSON.stringify(signingKey), version: 1 } };
  const account = { get: () => parameter, list: () => [], arn: () => "arn" } as unknown as AwsAccount;
  ssm = await startSsm(account, new Events());
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  // This server replaces API Gateway, so that the browser client can call the function.
  gateway = await serve("API", 0, async (request) => {
    const { statusCode, body } = await call(request.headers.get("authorization") ?? undefined);
    return new Response(body as string, { status: statusCode });
  });
});

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-12-01T20:00:00Z") });
  tables = await database.make();
  address = "192.0.2.1";
  guest = create(settings());
});

function settings(): Settings {
  return {
    ticketIssuer: issuer,
    ticketJwks: JSON.stringify(jwks),
    signingKeyParameter: "/key",
    candidatesPath: "/candidates",
    route: { kind: "relay", url: "https://relay.example" },
    ephemeralTable: tables.ephemeral,
    sessionsPerHour: LIMIT,
  };
}

afterEach(() => vi.useRealTimers());

afterAll(async () => {
  await Promise.all([database.close(), ssm.close(), gateway.close()]);
});

async function call(authorization?: string) {
  const headers = authorization === undefined ? {} : { authorization };
  const event = { headers, requestContext: { http: { sourceIp: address } } } as unknown as Request;
  return (await guest(event)) as { statusCode: number; body: string };
}

const newGuest = () => createApi({ apiUrl: gateway.url, getIdToken: async () => undefined });
const wait = (ms: number) => vi.setSystemTime(Date.now() + ms);
const session = async (ticket?: string) =>
  JSON.parse((await call(ticket && `Bearer ${ticket}`)).body) as SessionResponse;
const statusOf = async (ticket?: string) => (await call(ticket && `Bearer ${ticket}`)).statusCode;

/** Creates new guests at the caller's address. */
async function bringGuests(count: number): Promise<void> {
  for (let guests = 0; guests < count; guests++) expect(await statusOf()).toBe(200);
}

describe("The metric of sessions", () => {
  it("counts a successful guest session", async () => {
    using metrics = recordMetrics();
    expect(await statusOf()).toBe(200);
    expect(metrics.lines).toEqual([{ Sessions: 1, plan: "free" }]);
  });

  it("does not count a refused session, or a session whose signing key cannot be read", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await bringGuests(LIMIT);
    using metrics = recordMetrics();
    expect(await statusOf()).toBe(429);
    address = "192.0.2.2";
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9");
    guest = create(settings());
    expect(await statusOf()).toBe(503);
    expect(metrics.lines).toEqual([]);
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  });
});

describe("The limit of guests", () => {
  it("never refuses guests of one address who renew their sessions for eight hours", async () => {
    const guests = Array.from({ length: 5 }, newGuest);
    const ids = await Promise.all(guests.map(async (api) => (await api.guest()).user_id));
    for (let at = 0; at < 8 * HOUR_MS; at += RENEWAL_MS) {
      wait(RENEWAL_MS);
      const renewed = await Promise.all(guests.map(async (api) => (await api.guest()).user_id));
      expect(renewed).toEqual(ids);
    }
    // The renewals do not count against the address's limit.
    await bringGuests(LIMIT);
    expect(await statusOf()).toBe(429);
  }, 60_000);

  it("refuses a new guest above the limit, and still renews the session of a known guest", async () => {
    const known = await session();
    await bringGuests(LIMIT - 1);
    expect(await statusOf()).toBe(429);
    const renewed = await session(known.ticket);
    expect(renewed.user_id).toBe(known.user_id);
    await expect(
      verifyTicket(renewed.ticket, { jwks: jwks as never, issuer, model: renewed.model, now: new Date() }),
    ).resolves.toMatchObject({ sub: known.user_id, plan: "free" });
  });

  it("writes the household of the address into the ticket, not the address", async () => {
    address = "192.0.2.77";
    const { ticket, model } = await session();
    const claims = await verifyTicket(ticket, { jwks: jwks as never, issuer, model, now: new Date() });
    expect(claims.household).toBe(householdHash("192.0.2.77"));
    expect(JSON.stringify(claims)).not.toContain("192.0.2.77");
  });

  it("recognizes a guest up to an hour after the ticket has expired, but not later", async () => {
    const { ticket, user_id } = await session();
    wait(TICKET_SECONDS * 1000 + HOUR_MS - 2_000);
    expect((await session(ticket)).user_id).toBe(user_id);
    wait(2_000);
    expect((await session(ticket)).user_id).not.toBe(user_id);
  });

  it("still renews the session of a known guest at a new address that has reached its limit", async () => {
    const { ticket } = await session();
    address = "192.0.2.2";
    await bringGuests(LIMIT);
    expect([await statusOf(), await statusOf(ticket)]).toEqual([429, 200]);
  });

  it("refuses further renewals of a ticket that many people share", async () => {
    const { ticket } = await session();
    const statuses = await Promise.all(Array.from({ length: 130 }, () => statusOf(ticket)));
    expect(statuses.filter((status) => status === 429)).toHaveLength(10);
  });

  it.each([
    ["2001:db8:0:42::1", "2001:0DB8:0000:0042:ffff:0000:0000:0001"],
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
  ])("counts the addresses %s and %s as one household", async (first, second) => {
    address = first;
    await bringGuests(LIMIT);
    address = second;
    expect(await statusOf()).toBe(429);
  });

  it.each([
    ["a forged ticket", async () => forged()],
    ["a customer's ticket", async () => signed("user-1")],
    ["a ticket of another stack", async () => signed("guest:1", "snack-misaki/other")],
    ["an ID token", async () => "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"],
    ["text", async () => "x"],
  ])("counts a caller with %s as a new guest with a new id", async (_, ticket) => {
    const { user_id } = await session(await ticket());
    expect(user_id).toMatch(/^guest:[\w-]{36}$/);
    await bringGuests(LIMIT - 1);
    expect(await statusOf(await ticket())).toBe(429);
  });
});

async function signed(sub: string, iss = issuer): Promise<string> {
  return (await signTicket({ iss, sub, aud: "phi3", plan: "free", limits }, signingKey, new Date())).ticket;
}

async function forged(): Promise<string> {
  const { key } = await createTicketKeys();
  return (await signTicket({ iss: issuer, sub: "guest:1", aud: "phi3", plan: "free", limits }, key, new Date())).ticket;
}

import { beforeAll, describe, expect, it } from "vitest";
import { Plan, planModels } from "../../contract/plan";
import { SessionResponse } from "../../contract/session";
import { openSession, type Route, type SessionSources } from "../../functions/core/session";
import { verifyTicket } from "../../functions/core/ticket";
import { createTicketKeys, type TicketKeys } from "./ticketKeys";

const now = new Date("2026-11-27T12:00:00Z");
const relay: Route = { kind: "relay", url: "https://relay.example" };
const direct: Route = {
  kind: "runpod",
  url: "https://api.runpod.ai/v2/ep1",
  browserKeyParameter: "/stack/key",
  relayUrl: "https://relay.example",
};
/** A candidate that answers only the user `tester`. */
const candidate = async () => ({
  image: "2026-12-01",
  url: "https://api.runpod.ai/v2/ep2",
  share: 0,
  testers: ["tester"],
  isReady: true,
});
let sources: SessionSources;
let jwks: TicketKeys["jwks"];

beforeAll(async () => {
  const keys = await createTicketKeys();
  jwks = keys.jwks;
  sources = {
    ticketIssuer: "snack-misaki/test",
    signingKey: async () => keys.key,
    browserKey: async (parameter) => `rpa_of_${parameter}`,
    candidate: async () => undefined,
  };
});

describe("A session", () => {
  it.each(Plan.options)("of the plan %s has the relay's URL and a ticket for the plan's model", async (plan) => {
    const session = await openSession({ userId: "user-1", correlationId: "request-1", plan }, relay, sources, now);
    const { inference, ticket, model } = SessionResponse.parse(session);
    expect(inference).toEqual({ kind: "relay", url: "https://relay.example", authorization: `Bearer ${ticket}` });
    expect(model).toBe(planModels[plan]);
    const options = { jwks, issuer: "snack-misaki/test", model, now };
    expect(await verifyTicket(ticket, options)).toMatchObject({
      ...{ sub: "user-1", aud: model, plan, correlation_id: "request-1" },
    });
  });

  it("has RunPod's URL and the browser key when its route is direct", async () => {
    const session = await openSession(
      { userId: "user-1", correlationId: "request-1", plan: "paid" },
      direct,
      sources,
      now,
    );
    expect(session.inference).toEqual({
      kind: "runpod",
      url: "https://api.runpod.ai/v2/ep1",
      authorization: "Bearer rpa_of_/stack/key",
    });
    expect(session.ticket).not.toBe("");
  });

  it("sends a customer of the candidate to the relay when its route is direct", async () => {
    const customer = { userId: "tester", correlationId: "request-1", plan: "paid" } as const;
    const { inference, ticket } = await openSession(customer, direct, { ...sources, candidate }, now);
    expect(inference).toEqual({ kind: "relay", url: "https://relay.example", authorization: `Bearer ${ticket}` });
  });

  it("gets a ticket for the released endpoint only, when its route is direct and the model has a candidate", async () => {
    const customer = { userId: "user-1", correlationId: "request-1", plan: "paid" } as const;
    const endpointOf = async (changed: SessionSources) => {
      const { ticket, model } = await openSession(customer, direct, changed, now);
      return (await verifyTicket(ticket, { jwks, issuer: "snack-misaki/test", model, now })).endpoint;
    };
    expect(await endpointOf({ ...sources, candidate })).toBe("ep1");
    expect(await endpointOf(sources)).toBeUndefined();
  });

  it("reads no browser key when its route is the relay", async () => {
    const browserKey = async () => Promise.reject(new Error("This test must not read a key"));
    const session = await openSession(
      { userId: "user-1", correlationId: "request-1", plan: "free" },
      relay,
      { ...sources, browserKey },
      now,
    );
    expect(session.inference.kind).toBe("relay");
  });
});

import { createPrivateKey, type JsonWebKey, sign as signBytes } from "node:crypto";
import type { JWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { Model } from "../../contract/plan";
import { TICKET_TYPE } from "../../contract/ticket";
import { signTicket, TICKET_JOBS, TICKET_SECONDS, verifyTicket } from "../../functions/core/ticket";
import { createTicketKeys } from "./ticketKeys";

const issuer = "snack-misaki/test";
const now = new Date("2026-11-22T12:00:00Z");
const limits = { max_tokens: 10, max_messages: 2, max_input_chars: 100 };
const grant = { iss: issuer, sub: "user-1", aud: "phi3", plan: "free", limits } as const;

let key: JWK;
let otherKey: JWK;
let jwks: { keys: JWK[] };

beforeAll(async () => {
  const [first, second] = await Promise.all([createTicketKeys("1"), createTicketKeys("2")]);
  ({ key, jwks } = first);
  otherKey = second.key;
});

const refusal = (ticket: string | undefined, options: { model?: Model; now?: Date; issuer?: string } = {}) =>
  verifyTicket(ticket, { jwks, issuer, model: "phi3", now, ...options }).then(
    () => "accepted",
    (error) => error.code,
  );

describe("ticket", () => {
  it("contains the user, the model and the limits, and expires after two minutes", async () => {
    const { ticket, expiresAt } = await signTicket(grant, key, now);
    const claims = await verifyTicket(ticket, { jwks, issuer, model: "phi3", now });
    expect(claims).toMatchObject(grant);
    expect(claims.exp - claims.iat).toBe(TICKET_SECONDS);
    expect(expiresAt.getTime()).toBe(claims.exp * 1000);
  });

  it("has a unique id and a maximum number of jobs", async () => {
    const tickets = [await signTicket(grant, key, now), await signTicket(grant, key, now)];
    const claims = await Promise.all(
      tickets.map(({ ticket }) => verifyTicket(ticket, { jwks, issuer, model: "phi3", now })),
    );
    expect(claims.map(({ jobs }) => jobs)).toEqual([TICKET_JOBS, TICKET_JOBS]);
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(2);
  });

  it("names the only endpoint that accepts it", async () => {
    const { ticket } = await signTicket({ ...grant, endpoint: "endpoint-1" }, key, now);
    expect(await verifyTicket(ticket, { jwks, issuer, model: "phi3", now })).toMatchObject({ endpoint: "endpoint-1" });
  });

  it("of a keep-alive job is rejected, because only workers accept it", async () => {
    const { ticket } = await signTicket({ ...grant, kind: "keepalive" }, key, now);
    expect(await refusal(ticket)).toBe("ticket_invalid");
  });

  it("is accepted during a key rotation when it is signed with the second published key", async () => {
    const second = await createTicketKeys("2");
    const { ticket } = await signTicket(grant, second.key, now);
    expect(await refusal(ticket)).toBe("ticket_invalid");
    jwks.keys.push(...second.jwks.keys);
    expect(await refusal(ticket)).toBe("accepted");
    jwks.keys.pop();
  });

  it("is rejected with an error code that gives the reason", async () => {
    const { ticket } = await signTicket(grant, key, now);
    const { ticket: forged } = await signTicket(grant, { ...otherKey, kid: "1" }, now);
    const later = new Date(now.getTime() + (TICKET_SECONDS + 1) * 1000);
    expect(await refusal(undefined)).toBe("ticket_missing");
    expect(await refusal("")).toBe("ticket_missing");
    expect(await refusal("not a token")).toBe("ticket_invalid");
    expect(await refusal(forged)).toBe("ticket_invalid");
    expect(await refusal(ticket, { issuer: "snack-misaki/prod" })).toBe("ticket_invalid");
    expect(await refusal(ticket, { now: later })).toBe("ticket_expired");
    expect(await refusal(ticket, { model: "mistral" })).toBe("ticket_wrong_model");
  });

  describe("signed with a published key", () => {
    const header = { alg: "EdDSA", kid: "1", typ: TICKET_TYPE };
    const seconds = now.getTime() / 1000;
    const claims = { ...grant, iat: seconds, exp: seconds + 60, jti: "1" };

    /** Signs a ticket with any header. A JWT library would refuse some of these headers. */
    const sign = (changedHeader: object, changedClaims: object) => {
      const parts = [
        { ...header, ...changedHeader },
        { ...claims, ...changedClaims },
      ];
      const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
      const privateKey = createPrivateKey({ key: key as JsonWebKey, format: "jwk" });
      return `${signed}.${signBytes(null, Buffer.from(signed), privateKey).toString("base64url")}`;
    };

    it("is accepted with the header and the claims of a ticket", async () => {
      expect(await refusal(sign({}, { jobs: 1 }))).toBe("accepted");
    });

    it("is accepted without a number of jobs, because older versions sign such tickets", async () => {
      const ticket = await verifyTicket(sign({}, {}), { jwks, issuer, model: "phi3", now });
      expect(ticket.jobs).toBeUndefined();
    });

    it.each<[string, object, object]>([
      ["without a type", { typ: undefined }, {}],
      ["with the type of an ID token", { typ: "JWT" }, {}],
      ["without a signature algorithm", { alg: "none" }, {}],
      ["with the algorithm of a shared secret", { alg: "HS256" }, {}],
      ["without a key id", { kid: undefined }, {}],
      ["with a key id that every object has", { kid: "__proto__" }, {}],
      ["with a header extension", { crit: ["b64"], b64: false }, {}],
      ["with two issuers", {}, { iss: [issuer, "other"] }],
      ["with two models", {}, { aud: ["phi3", "mistral"] }],
      ["without an expiry", {}, { exp: undefined }],
      ["with an expiry that is not a number", {}, { exp: `${seconds + 60}` }],
      ["that is not valid yet", {}, { nbf: seconds + 1 }],
    ])("is rejected %s", async (_, changedHeader, changedClaims) => {
      expect(await refusal(sign(changedHeader, changedClaims))).toBe("ticket_invalid");
    });
  });
});

import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { Model } from "../../contract/plan";
import { signTicket, TICKET_SECONDS, verifyTicket } from "../../functions/core/ticket";

const issuer = "snack-misaki/test";
const now = new Date("2026-11-22T12:00:00Z");
const limits = { max_tokens: 10, max_messages: 2, max_input_chars: 100 };
const grant = { iss: issuer, sub: "user-1", aud: "phi3", plan: "free", limits } as const;

let key: JWK;
let otherKey: JWK;
let jwks: { keys: JWK[] };

async function newKey(kid: string): Promise<{ secret: JWK; open: JWK }> {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return {
    secret: { ...(await exportJWK(pair.privateKey)), kid },
    open: { ...(await exportJWK(pair.publicKey)), kid },
  };
}

beforeAll(async () => {
  const [first, second] = await Promise.all([newKey("1"), newKey("2")]);
  key = first.secret;
  otherKey = second.secret;
  jwks = { keys: [first.open] };
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

  it("is accepted during a key rotation when it is signed with the second published key", async () => {
    const second = await newKey("2");
    const { ticket } = await signTicket(grant, second.secret, now);
    expect(await refusal(ticket)).toBe("ticket_invalid");
    jwks.keys.push(second.open);
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

  it("is rejected when its header does not contain the ticket type", async () => {
    const { ticket } = await signTicket(grant, key, now);
    const payload = JSON.parse(Buffer.from(ticket.split(".")[1] ?? "", "base64url").toString());
    const { importJWK } = await import("jose");
    const untyped = await new SignJWT(payload)
      .setProtectedHeader({ alg: "EdDSA", kid: "1" })
      .sign(await importJWK(key, "EdDSA"));
    expect(await refusal(untyped)).toBe("ticket_invalid");
  });
});

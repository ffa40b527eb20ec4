import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Route } from "../../functions/core/session";
import type { Handler, Request } from "../../functions/lib/http";
import { create } from "../../functions/session";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import { type Listening, serve } from "../../local/support/http";
import { engines } from "../tables/engines";
import { type Database, openDatabase } from "../tables/tables";
import { recordMetrics } from "./metricLines";
import { createTicketKeys } from "./ticketKeys";

const relay: Route = { kind: "relay", url: "https://relay.example" };

describe("POST /auth/session", () => {
  const userPoolId = "us-east-1_Test12345";
  const clientId = "client-1";
  /** Value of the parameter with the signing key; undefined when the parameter does not exist. */
  let signingKey: string | undefined;
  let database: Database;
  let services: Listening[];
  let authorization: string;
  let usersTable: string;
  beforeAll(async () => {
    const [dynalite] = engines;
    if (!dynalite) throw new Error("The list of database engines is empty");
    database = await openDatabase(dynalite);
    usersTable = (await database.make()).users;
    const { privateKey, publicKey } = await generateKeyPair("RS256");
    const key = { ...(await exportJWK(publicKey)), kid: "1", alg: "RS256", use: "sig" };
    const cognito = await serve("Cognito", 0, async () => Response.json({ keys: [key] }));
    const parameter = () => signingKey && { id: "/key", outputs: { type: "String", value: signingKey, version: 1 } };
    const account = { get: parameter, list: () => [], arn: () => "arn" } as unknown as AwsAccount;
    const ssm = await startSsm(account, new Events());
    services = [cognito, ssm];
    vi.stubEnv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", cognito.url);
    vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
    const token = new SignJWT({ token_use: "id", aud: clientId, sub: "user-1" })
      .setProtectedHeader({ alg: "RS256", kid: "1" })
      .setIssuer(`https://cognito-idp.us-east-1.amazonaws.com/${userPoolId}`)
      .setExpirationTime("1 hour");
    authorization = `Bearer ${await token.sign(privateKey)}`;
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await Promise.all([database.close(), ...services.map((service) => service.close())]);
  });

  const start = (): Handler =>
    create({
      ...{ userPoolId, clientId, usersTable, ticketIssuer: "snack-misaki/test", signingKeyParameter: "/key" },
      routes: { free: relay, paid: relay, vip: relay },
      candidatesPath: "/candidates",
      policy: { prices: { paid: [], vip: [] }, graceDays: 7 },
    });
  async function statusOf(handler: Handler, headers: Record<string, string>): Promise<number | undefined> {
    const event = { headers, requestContext: { requestId: "request-1" } } as unknown as Request;
    return (await handler(event)).statusCode;
  }

  it("counts a successful session of a customer", async () => {
    signingKey = JSON.stringify((await createTicketKeys()).key);
    using metrics = recordMetrics();
    expect(await statusOf(start(), { authorization })).toBe(200);
    expect(metrics.lines).toEqual([{ Sessions: 1, plan: "free" }]);
  });

  it("does not count a session without a valid token, or a session whose signing key cannot be read", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    using metrics = recordMetrics();
    expect(await statusOf(start(), { authorization: "Bearer nonsense" })).toBe(401);
    signingKey = undefined;
    expect(await statusOf(start(), { authorization })).toBe(503);
    expect(metrics.lines).toEqual([]);
  });
});

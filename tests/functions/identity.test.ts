import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "../../contract/errors";
import type { Request } from "../../functions/lib/http";
import { createIdentity } from "../../functions/lib/identity";

const userPoolId = "us-east-1_Test12345";
const clientId = "client-1";
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const endless = { token_use: "id", aud: clientId, sub: "user-1" };
const claims = { ...endless, exp: inSeconds(60) };

let server: Server;
let status = 200;
/** Replaces the pool's keys. */
let keys: object[] | undefined;
let sign: (payload: JWTPayload, kid?: string) => Promise<string>;

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "RS256", use: "sig" };
  server = createServer((request, response) => {
    response.statusCode = request.url === `/${userPoolId}/.well-known/jwks.json` ? status : 404;
    response.end(JSON.stringify({ keys: keys ?? [jwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env.AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `https://cognito-idp.us-east-1.amazonaws.com/${userPoolId}`;
  sign = (payload, kid = "1") =>
    new SignJWT({ iss: issuer, ...payload }).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
});

afterAll(() => {
  delete process.env.AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER;
  server.close();
});

async function outcome(authorization: string | undefined): Promise<unknown> {
  const identify = createIdentity({ userPoolId, clientId });
  const request = { headers: authorization === undefined ? {} : { authorization } } as Request;
  return identify(request).catch((error) => (error instanceof ApiError ? error.code : String(error)));
}

describe("createIdentity", () => {
  it("accepts a valid ID token with or without the prefix Bearer", async () => {
    const token = await sign(claims);
    expect(await outcome(`Bearer ${token}`)).toEqual({ userId: "user-1" });
    expect(await outcome(token)).toEqual({ userId: "user-1" });
    const withEmail = await sign({ ...claims, email: "a@example.com" });
    expect(await outcome(withEmail)).toEqual({ userId: "user-1", email: "a@example.com" });
  });

  it("throws unauthorized for a missing or invalid token", async () => {
    expect(await outcome(undefined)).toBe("unauthorized");
    expect(await outcome("Bearer nonsense")).toBe("unauthorized");
    expect(await outcome(await sign({ ...claims, exp: inSeconds(-1) }))).toBe("unauthorized");
    expect(await outcome(await sign(endless))).toBe("unauthorized");
    expect(await outcome(await sign({ ...claims, aud: "another-client" }))).toBe("unauthorized");
    expect(
      await outcome(await sign({ ...claims, iss: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Other" })),
    ).toBe("unauthorized");
    expect(await outcome(await sign(claims, "2"))).toBe("unauthorized");
    const [header, , signature] = (await sign(claims)).split(".");
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: "user-2" })).toString("base64url");
    expect(await outcome(`${header}.${forged}.${signature}`)).toBe("unauthorized");
  });

  it("throws unauthorized for every unknown kid, even for several within ten seconds", async () => {
    const identify = createIdentity({ userPoolId, clientId });
    const codeOf = (token: string) =>
      identify({ headers: { authorization: token } } as unknown as Request).then(
        ({ userId }) => userId,
        (error: ApiError) => error.code,
      );
    for (const kid of ["2", "2", "3"]) expect(await codeOf(await sign(claims, kid))).toBe("unauthorized");
    expect(await codeOf(await sign(claims))).toBe("user-1");
  });

  it.each([
    ["no sub", { sub: undefined }],
    ["an empty sub", { sub: "" }],
    ["a sub that is a number", { sub: 5 }],
    ["an exp that is text", { exp: "soon" }],
    ["no token_use", { token_use: undefined }],
    ["no aud", { aud: undefined }],
    ["an nbf in the future", { nbf: inSeconds(60) }],
  ])("throws unauthorized or wrong_token, never unavailable, for a signed token with %s", async (_, change) => {
    const code = await outcome(await sign({ ...claims, ...change } as JWTPayload));
    expect(["unauthorized", "wrong_token"]).toContain(code);
  });

  it("throws unavailable when the pool's keys are not valid", async () => {
    keys = [{ kty: 5 }];
    expect(await outcome(await sign(claims))).toBe("unavailable");
    keys = [{ kty: "oct", kid: "1" }];
    expect(await outcome(await sign(claims))).toBe("unavailable");
    keys = undefined;
  });

  it("throws wrong_token for an access token", async () => {
    expect(await outcome(await sign({ ...claims, token_use: "access", client_id: clientId }))).toBe("wrong_token");
  });

  it("throws unavailable when the pool's keys cannot be fetched", async () => {
    status = 503;
    expect(await outcome(await sign(claims))).toBe("unavailable");
    status = 200;
  });
});

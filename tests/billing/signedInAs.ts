import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, vi } from "vitest";

/** The user pool that issues the tokens. */
export const pool = { userPoolId: "us-east-1_Stage12AB", clientId: "stageclient" };

/** Serves the keys of a user pool over HTTP. Returns a function that signs ID tokens with these keys. */
export function signedInAs(): (userId: string) => Promise<string> {
  let privateKey: CryptoKey | undefined;
  let close: () => void = () => {};
  beforeAll(async () => {
    const pair = await generateKeyPair("RS256");
    privateKey = pair.privateKey;
    const key = { ...(await exportJWK(pair.publicKey)), kid: "stage", alg: "RS256", use: "sig" };
    const server = createServer((_, response) => response.end(JSON.stringify({ keys: [key] })));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    close = () => server.close();
    const { port } = server.address() as AddressInfo;
    vi.stubEnv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", `http://127.0.0.1:${port}`);
  });
  afterAll(() => close());
  return async (userId) => {
    if (!privateKey) throw new Error("Sign ID tokens only inside a test");
    return new SignJWT({ token_use: "id", email: `${userId}@example.com` })
      .setProtectedHeader({ alg: "RS256", kid: "stage" })
      .setIssuer(`https://cognito-idp.us-east-1.amazonaws.com/${pool.userPoolId}`)
      .setAudience(pool.clientId)
      .setSubject(userId)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(privateKey);
  };
}

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { matchRoute } from "../../../local/aws/httpApi/route";
import { Throttle } from "../../../local/aws/httpApi/throttle";
import { code, startTestCloud } from "./fixture";

const ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Local12AB";
const ECHO = `exports.handler = async (event) => {
  switch (event.queryStringParameters?.do) {
    case "throw": throw new Error("inside");
    case "bare": return { hello: "world" };
    case "text": return "plain words";
    case "malformed": return { statusCode: "many" };
    case "slow": return new Promise((r) => setTimeout(() => r({ statusCode: 200 }), 3000));
    case "full": return { statusCode: 201, body: Buffer.from("bytes").toString("base64"), isBase64Encoded: true,
      cookies: ["a=1", "b=2"], headers: { "Content-Type": "text/csv", "Access-Control-Allow-Origin": "*", "X-Own": "1" } };
    default: return { statusCode: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(event) };
  }
}`;

type Event = Record<string, never> & {
  headers: Record<string, string>;
  requestContext: {
    authorizer?: { jwt: { claims: Record<string, string>; scopes: string[] | null } };
    http: Record<string, string>;
  };
};

let cloud: Awaited<ReturnType<typeof startTestCloud>>;
let url: string;
let apiId: string;
let fnName: string;
let sign: (claims: JWTPayload & { [name: string]: unknown }, key?: "other") => Promise<string>;
let closeKeys: () => void;

const now = () => Math.floor(Date.now() / 1000);
const valid = () => ({ iss: ISSUER, aud: "web", exp: now() + 60, iat: now(), sub: "u1" });

async function route(routeKey: string, more: object = {}, integration: object = {}) {
  const { id } = await cloud.engine.create("aws:apigatewayv2/integration:Integration", "i", {
    apiId,
    integrationType: "AWS_PROXY",
    integrationUri: `arn:aws:lambda:us-east-1:000000000000:function:${fnName}`,
    payloadFormatVersion: "2.0",
    ...integration,
  });
  await cloud.engine.create("aws:apigatewayv2/route:Route", "r", {
    apiId,
    routeKey,
    target: `integrations/${id}`,
    ...more,
  });
}

beforeAll(async () => {
  const [keys, others] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("RS256")]);
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "k1", alg: "RS256" };
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closeKeys = () => {
    server.close();
    server.closeAllConnections();
  };
  const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  sign = (claims, key) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid: "k1" })
      .sign(key === "other" ? others.privateKey : keys.privateKey);

  cloud = await startTestCloud({ jwks: (issuer) => (issuer === ISSUER ? jwks : undefined) });
  const { engine } = cloud;
  const fn = await engine.create("aws:lambda/function:Function", "echo", {
    role: "arn:aws:iam::000000000000:role/r",
    handler: "__index.handler",
    runtime: "nodejs24.x",
    timeout: 20,
    code: code(ECHO),
  });
  fnName = fn.id;
  const api = await engine.create("aws:apigatewayv2/api:Api", "api", {
    protocolType: "HTTP",
    corsConfiguration: {
      allowOrigins: ["https://snack.example"],
      allowMethods: ["GET", "POST"],
      allowHeaders: ["authorization", "content-type"],
      exposeHeaders: ["etag"],
      maxAge: 600,
    },
  });
  apiId = api.id;
  url = String(api.outputs.apiEndpoint);
  const authorizer = await engine.create("aws:apigatewayv2/authorizer:Authorizer", "jwt", {
    apiId,
    authorizerType: "JWT",
    identitySources: ["$request.header.Authorization"],
    jwtConfiguration: { issuer: ISSUER, audiences: ["web"] },
  });
  const jwt = { authorizationType: "JWT", authorizerId: authorizer.id };
  await route("GET /open");
  await route("POST /open");
  await route("GET /bars/{bar}");
  await route("GET /me", jwt);
  await route("GET /scoped", { ...jwt, authorizationScopes: ["openid", "snack/admin"] });
  await route("GET /few");
  await route("GET /closed");
  await route("GET /slow", {}, { timeoutMilliseconds: 100 });
  await route("GET /forbidden/by/permission");
  await engine.create("aws:apigatewayv2/stage:Stage", "default", {
    apiId,
    name: "$default",
    autoDeploy: true,
    defaultRouteSettings: { throttlingBurstLimit: 1000, throttlingRateLimit: 1000 },
    routeSettings: [
      { routeKey: "GET /few", throttlingBurstLimit: 2, throttlingRateLimit: 0.001 },
      { routeKey: "GET /closed", throttlingBurstLimit: 0, throttlingRateLimit: 0 },
    ],
  });
  for (const path of ["*/open", "GET/bars/*", "GET/me", "GET/scoped", "GET/few", "GET/closed", "GET/slow"]) {
    await engine.create("aws:lambda/permission:Permission", "p", {
      action: "lambda:InvokeFunction",
      function: fn.outputs.name,
      principal: "apigateway.amazonaws.com",
      sourceArn: `${api.outputs.executionArn}/*/${path}`,
    });
  }
});
afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
  closeKeys();
});

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${url}${path}`, { headers });
const bearer = async (claims: Parameters<typeof sign>[0]) => ({ authorization: `Bearer ${await sign(claims)}` });

describe("Payload format 2.0", () => {
  it("passes a request to the function with the same fields as AWS", async () => {
    const response = await fetch(`${url}/bars/ginza%20no.1?a=1&a=2&b=%E3%81%82`, {
      headers: { "X-Mixed-Case": "Yes", cookie: "one=1; two=2", "user-agent": "tester" },
    });
    const event = (await response.json()) as Event;
    expect(event).toMatchObject({
      version: "2.0",
      routeKey: "GET /bars/{bar}",
      rawPath: "/bars/ginza%20no.1",
      rawQueryString: "a=1&a=2&b=%E3%81%82",
      queryStringParameters: { a: "1,2", b: "あ" },
      pathParameters: { bar: "ginza no.1" },
      cookies: ["one=1", "two=2"],
      isBase64Encoded: false,
      requestContext: {
        accountId: "000000000000",
        apiId,
        stage: "$default",
        http: { method: "GET", path: "/bars/ginza%20no.1", sourceIp: "127.0.0.1", userAgent: "tester" },
      },
    });
    expect(event.headers).toMatchObject({ "x-mixed-case": "Yes" });
    expect(event.headers).not.toHaveProperty("cookie");
    expect(event).not.toHaveProperty("body");
    expect(event.requestContext).not.toHaveProperty("authorizer");
  });

  it.each([
    ["application/json", '{"text":"こんばんは"}', '{"text":"こんばんは"}', false],
    ["application/octet-stream", "bytes", Buffer.from("bytes").toString("base64"), true],
  ])("encodes a body of type %s in the same way as AWS", async (type, sent, body, isBase64Encoded) => {
    const response = await fetch(`${url}/open`, { method: "POST", body: sent, headers: { "content-type": type } });
    expect(await response.json()).toMatchObject({ body, isBase64Encoded });
  });

  it("returns 200 for a result without statusCode and 500 for a malformed result", async () => {
    const bare = await get("/open?do=bare");
    expect([bare.status, bare.headers.get("content-type"), await bare.text()]).toEqual([
      200,
      "application/json",
      '{"hello":"world"}',
    ]);
    expect(await (await get("/open?do=text")).text()).toBe("plain words");
    const full = await get("/open?do=full");
    expect([full.status, full.headers.get("content-type"), await full.text()]).toEqual([201, "text/csv", "bytes"]);
    expect(full.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    const malformed = await get("/open?do=malformed");
    expect([malformed.status, await malformed.json()]).toEqual([500, { message: "Internal Server Error" }]);
  });

  it("returns 500 without details when the function fails", async () => {
    const response = await get("/open?do=throw");
    expect([response.status, await response.text()]).toEqual([500, '{"message":"Internal Server Error"}']);
  });

  it("returns 503 after the integration timeout and 413 for a body over 10 MB", async () => {
    const slow = await get("/slow?do=slow");
    expect([slow.status, await slow.json()]).toEqual([503, { message: "Service Unavailable" }]);
    const body = Buffer.alloc(10 * 1024 * 1024 + 1);
    const large = await fetch(`${url}/open`, { method: "POST", body });
    expect([large.status, await large.json()]).toEqual([413, { message: "Request Entity Too Large" }]);
  });
});

describe("Routes", () => {
  it("return 404 for an unknown path or method", async () => {
    for (const response of [await get("/nowhere"), await fetch(`${url}/me`, { method: "DELETE" })]) {
      expect([response.status, await response.json()]).toEqual([404, { message: "Not Found" }]);
    }
  });

  it("keep a path parameter with invalid percent-encoding unchanged", async () => {
    const nowhere = await get("/%zz");
    expect([nowhere.status, await nowhere.json()]).toEqual([404, { message: "Not Found" }]);
    expect(await (await get("/bars/%zz")).json()).toMatchObject({ pathParameters: { bar: "%zz" } });
  });

  it("return 500 when the API has no permission to invoke the function", async () => {
    const response = await get("/forbidden/by/permission");
    expect([response.status, await response.json()]).toEqual([500, { message: "Internal Server Error" }]);
  });

  it.each([
    ["GET", "/a/b", "GET /a/b"],
    ["GET", "/a/c", "GET /a/{x}"],
    ["POST", "/a/b", "ANY /a/b"],
    ["GET", "/a/b/c", "GET /{all+}"],
    ["PUT", "/else", "$default"],
  ])("match %s %s to the most specific route", (method, path, expected) => {
    const routes = ["$default", "GET /{all+}", "GET /a/{x}", "ANY /a/b", "GET /a/b"].map((routeKey) => ({ routeKey }));
    expect(matchRoute(routes, method, path)?.route.routeKey).toBe(expected);
  });

  it("apply the limits of a route and reject every request when a limit is 0", async () => {
    const answers = [await get("/few"), await get("/few"), await get("/few")];
    expect(answers.map((one) => one.status)).toEqual([200, 200, 429]);
    expect(await answers[2]?.json()).toEqual({ message: "Too Many Requests" });
    expect((await get("/closed")).status).toBe(429);
    expect((await get("/open")).status).toBe(200);
  });

  it("refill a token bucket at the steady rate, up to the burst limit", () => {
    let at = 0;
    const throttle = new Throttle(() => at);
    const limits = { ratePerSecond: 2, burst: 1 };
    const admit = () => throttle.admit("route", limits);
    expect([admit(), admit()]).toEqual([true, false]);
    at = 400;
    expect(admit()).toBe(false);
    at = 500;
    expect(admit()).toBe(true);
    at = 60_000;
    expect([admit(), admit()]).toEqual([true, false]);
  });
});

describe("JWT authorizer", () => {
  it.each<[string, () => Promise<Record<string, string>>]>([
    ["a request without a token", async () => ({})],
    ["a token that is not a JWT", async () => ({ authorization: "Bearer nonsense" })],
    ["a token of another issuer", () => bearer({ ...valid(), iss: `${ISSUER}x` })],
    ["a token for another audience", () => bearer({ ...valid(), aud: "app" })],
    ["a token with a wrong aud and a valid client_id", () => bearer({ ...valid(), aud: "app", client_id: "web" })],
    ["a token that expired a second ago", () => bearer({ ...valid(), exp: now() - 1 })],
    ["a token without expiry", async () => bearer({ iss: ISSUER, aud: "web", iat: now() })],
    ["a token that is not valid yet", () => bearer({ ...valid(), nbf: now() + 30 })],
    ["a token issued in the future", () => bearer({ ...valid(), iat: now() + 30 })],
    ["a token signed with another key", async () => ({ authorization: `Bearer ${await sign(valid(), "other")}` })],
  ])("rejects %s with 401", async (_case, headers) => {
    const response = await get("/me", await headers());
    expect([response.status, await response.text()]).toEqual([401, '{"message":"Unauthorized"}']);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("passes each claim to the function as text, and writes a list as [a b]", async () => {
    const claims = { ...valid(), token_use: "id", email_verified: true, "cognito:groups": ["vip", "staff"] };
    const response = await get("/me", await bearer(claims));
    const { jwt } = ((await response.json()) as Event).requestContext.authorizer ?? {};
    expect(jwt).toEqual({
      claims: {
        iss: ISSUER,
        aud: "web",
        sub: "u1",
        exp: String(claims.exp),
        iat: String(claims.iat),
        token_use: "id",
        email_verified: "true",
        "cognito:groups": "[vip staff]",
      },
      scopes: null,
    });
  });

  it.each(["", "bearer ", "BEARER "])("accepts a token with the prefix %j", async (prefix) => {
    const response = await get("/me", { authorization: `${prefix}${await sign(valid())}` });
    expect(response.status).toBe(200);
  });

  it("uses client_id as the audience of a token without aud", async () => {
    const { aud: _, ...claims } = valid();
    expect((await get("/me", await bearer({ ...claims, client_id: "web" }))).status).toBe(200);
  });

  it("returns 403 when the token has no scope that the route accepts", async () => {
    expect((await get("/scoped", await bearer({ ...valid(), scope: "profile openid" }))).status).toBe(200);
    for (const claims of [valid(), { ...valid(), scope: "profile" }]) {
      const response = await get("/scoped", await bearer(claims));
      expect([response.status, await response.json()]).toEqual([403, { message: "Forbidden" }]);
    }
  });
});

describe("CORS", () => {
  const preflight = (origin: string, path = "/me") =>
    fetch(`${url}${path}`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "GET" } });

  it("responds to a preflight for a route with an authorizer and for an unknown route", async () => {
    for (const path of ["/me", "/nowhere"]) {
      const response = await preflight("https://snack.example", path);
      expect(response.status).toBe(204);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "access-control-allow-origin": "https://snack.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "600",
      });
    }
    expect((await preflight("https://elsewhere.example")).headers.get("access-control-allow-origin")).toBeNull();
  });

  it("replaces the function's CORS headers and allows only the configured origins", async () => {
    const allowed = await get("/open?do=full", { origin: "https://snack.example" });
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://snack.example");
    expect(allowed.headers.get("access-control-expose-headers")).toBe("etag");
    expect(allowed.headers.get("x-own")).toBe("1");
    for (const headers of [{}, { origin: "https://elsewhere.example" }]) {
      expect((await get("/open?do=full", headers)).headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  it("adds CORS headers to error responses", async () => {
    const response = await get("/me", { origin: "https://snack.example" });
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([
      401,
      "https://snack.example",
    ]);
  });
});

describe("Listeners", () => {
  it("serve each API on a different port and stop when the API is deleted", async () => {
    const second = await cloud.engine.create("aws:apigatewayv2/api:Api", "second", { protocolType: "HTTP" });
    const other = String(second.outputs.apiEndpoint);
    expect(other).not.toBe(url);
    expect((await fetch(other)).status).toBe(404);
    await cloud.engine.delete(second);
    await expect(fetch(other)).rejects.toThrow();
  });
});

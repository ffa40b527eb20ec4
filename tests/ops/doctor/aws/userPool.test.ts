import { expect, it } from "vitest";
import { judgeUserPool, type PoolFacts } from "../../../../ops/doctor/aws/userPool";

const email = { identityArn: "arn:aws:ses:ap-northeast-1:123456789012:identity/example.com", from: "mama@example.com" };
const frontend = {
  callbackUrls: ["https://example.com/callback"],
  logoutUrls: ["https://example.com/"],
  origins: ["https://example.com"],
};
const wanted = { auth: { domainPrefix: "x", email }, frontend, deletionProtection: true };
const pool: PoolFacts = {
  id: "ap-northeast-1_Pool",
  isProtected: true,
  sender: { account: "DEVELOPER", ...email },
  clients: [{ id: "c", callbackUrls: frontend.callbackUrls, logoutUrls: frontend.logoutUrls }],
};

it("judgeUserPool accepts a pool and a client as configured", () => {
  expect(judgeUserPool(pool, wanted).map(({ name, status }) => [name, status])).toEqual([
    ["user pool", "ok"],
    ["sign-in URLs", "ok"],
  ]);
});

const client = pool.clients[0] ?? { id: "", callbackUrls: [], logoutUrls: [] };
it.each([
  ["a missing pool", undefined, "user pool", "failed", /nobody can sign in/],
  [
    "a pool without deletion protection",
    { ...pool, isProtected: false },
    "user pool",
    "warning",
    /is off, configured on/,
  ],
  ["a pool without client", { ...pool, clients: [] }, "sign-in URLs", "failed", /has no client/],
  ["a second client", { ...pool, clients: [client, client] }, "sign-in URLs", "warning", /2 clients/],
  [
    "a missing callback URL",
    { ...pool, clients: [{ ...client, callbackUrls: [] }] },
    "sign-in URLs",
    "failed",
    /callback URL https:\/\/example\.com\/callback is missing/,
  ],
  [
    "a logout URL that somebody added",
    { ...pool, clients: [{ ...client, logoutUrls: ["https://example.com/", "https://old.example/"] }] },
    "sign-in URLs",
    "warning",
    /logout URL https:\/\/old\.example\/ is not configured/,
  ],
  [
    "e-mail that Cognito sends instead of SES",
    { ...pool, sender: { account: "COGNITO_DEFAULT", from: undefined, identityArn: undefined } },
    "user pool e-mail",
    "warning",
    /at most about 50 a day, configured Amazon SES as mama@example\.com/,
  ],
  [
    "e-mail of another sender",
    { ...pool, sender: { ...pool.sender, from: "old@example.com" } },
    "user pool e-mail",
    "warning",
    /as old@example\.com, configured Amazon SES as mama@/,
  ],
] as const)("judgeUserPool reports %s", (_what, facts, name, status, seen) => {
  const problems = judgeUserPool(facts as PoolFacts | undefined, wanted).filter((check) => check.status !== "ok");
  expect(problems).toEqual([{ name, status, seen: expect.stringMatching(seen), todo: expect.stringMatching(/\w/) }]);
});

it("judgeUserPool accepts Cognito as the sender when auth.email is not set", () => {
  const sender = { account: "COGNITO_DEFAULT", from: undefined, identityArn: undefined };
  const problems = judgeUserPool({ ...pool, sender }, { ...wanted, auth: { domainPrefix: "x" } });
  expect(problems.filter(({ status }) => status !== "ok")).toEqual([]);
});

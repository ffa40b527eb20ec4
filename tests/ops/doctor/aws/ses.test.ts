import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createSesAccount, sesApi } from "../../../../local/aws/inspection/ses";
import { type Listening, serve } from "../../../../local/support/http";
import { checkSes } from "../../../../ops/doctor/aws/ses";

const ses = createSesAccount();
let server: Listening;
beforeAll(async () => {
  server = await serve("SES", 0, sesApi(ses).fetch);
});
afterAll(() => server.close());
beforeEach(() => void Object.assign(ses, createSesAccount()));

function check() {
  const { url } = server;
  const endpoints = { inspection: url, dynamodb: "", ssm: "", ecr: "", lambda: "", cognito: "" };
  const credentials = { accessKeyId: "x", secretAccessKey: "x" };
  const arn = "arn:aws:ses:us-east-1:123456789012:identity/example.com";
  return checkSes(arn, { region: "ap-northeast-1", endpoints, credentials });
}

it("checkSes accepts a verified identity outside of the sandbox", async () => {
  expect(await check()).toMatchObject({
    name: "Amazon SES",
    status: "ok",
    seen: "example.com is verified; 0 of 50000 e-mails in 24 hours",
  });
});

it.each([
  ["an identity that SES does not have", { identities: {} }, "failed", /has no identity example\.com/, /in us-east-1/],
  [
    "an identity that is not verified",
    { identities: { "example.com": false } },
    "failed",
    /is not verified/,
    /DNS records/,
  ],
  ["the sandbox", { productionAccess: false }, "failed", /in its sandbox in us-east-1/, /^Request production access/],
  ["a paused account", { sendingEnabled: false }, "failed", /AWS has paused the sending/, /^Read AWS's e-mail/],
  [
    "a quota that is almost used up",
    { quota: { max: 200, sent: 170 } },
    "warning",
    /^170 of 200/,
    /higher sending quota/,
  ],
  ["a quota that is used up", { quota: { max: 200, sent: 200 } }, "failed", /it sends no more/, /higher sending quota/],
] as const)("checkSes reports %s", async (_what, state, status, seen, todo) => {
  Object.assign(ses, state);
  expect(await check()).toMatchObject({ status, seen: expect.stringMatching(seen), todo: expect.stringMatching(todo) });
});

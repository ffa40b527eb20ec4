import { expect, it } from "vitest";
import { addresses, judgeAnswer, judgeCors } from "../../../../ops/doctor/aws/http";

const { api, relay } = addresses;
const origin = "https://example.com";

it.each([
  ["the API asks for a token", api, 401],
  ["the relay does not know the path", relay, 404],
] as const)("judgeAnswer accepts an address when %s", (_what, address, status) => {
  expect(judgeAnswer(address, "https://a", { status })).toMatchObject({ name: address.label, status: "ok" });
});

it.each([
  [
    "does not answer",
    api,
    { status: undefined, problem: "connect ECONNREFUSED" },
    /does not answer: connect/,
    /network/,
  ],
  ["answers 404 for the API", api, { status: 404 }, /answers 404 to GET \/billing\/plan instead of 401/, /routes/],
  ["answers 500 for the API", api, { status: 500 }, /answers 500/, /line of the functions/],
  ["answers 429 for the API", api, { status: 429 }, /answers 429/, /throttle/],
  [
    "lacks a permission of the function URL",
    relay,
    { status: 403 },
    /answers 403/,
    /^The permissions of the function URL/,
  ],
  ["answers 502 for the relay", relay, { status: 502 }, /answers 502/, /function relay/],
] as const)("judgeAnswer reports an address that %s", (_what, address, probe, seen, todo) => {
  const check = judgeAnswer(address, "https://a", probe);
  expect(check).toMatchObject({
    status: "failed",
    seen: expect.stringMatching(seen),
    todo: expect.stringMatching(todo),
  });
});

it("judgeCors accepts an address that allows every origin of the configuration", () => {
  expect(judgeCors(api, [{ origin, allowed: origin, status: 204 }])).toMatchObject({ name: "API CORS", status: "ok" });
});

it.each([
  ["allows no origin", { origin, allowed: null, status: 204 }, /https:\/\/example\.com: allows no origin$/],
  ["allows another origin", { origin, allowed: "https://b", status: 200 }, /allows https:\/\/b$/],
  ["refuses the preflight request", { origin, allowed: origin, status: 403 }, /status 403$/],
  ["does not answer", { origin, allowed: null, status: undefined, problem: "timeout" }, /timeout$/],
] as const)("judgeCors reports an address that %s", (_what, preflight, seen) => {
  const check = judgeCors(relay, [preflight]);
  expect(check).toMatchObject({ name: "relay CORS", status: "failed", seen: expect.stringMatching(seen) });
});

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkKeys, type KeyCheck } from "../../local/commands/keyCheck";
import { realStripe } from "../../local/commands/realStripe";
import { realVip } from "../../local/commands/realVip";
import { freePort } from "../../local/support/ports";
import { stripeFixture } from "./stripe/fixture";

const fixture = stripeFixture();
let server: Server;
let url: string;

beforeAll(async () => {
  // The server answers with the status in the path, such as `/401`.
  server = createServer((request, response) => response.writeHead(Number(request.url?.slice(1))).end("{}"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

const check = (at: string, more: Partial<KeyCheck> = {}) =>
  checkKeys([{ variable: "SOME_KEY", url: at, headers: {}, expected: "a key of your account", ...more }]);

describe("Keys from the environment", () => {
  it("are rejected with the variable's name when the service answers 401", async () => {
    await expect(check(`${url}/401`)).rejects.toThrow(/^SOME_KEY: 127\.0\.0\.1:\d+ does not accept it \(HTTP 401\)/);
  });

  it("are accepted when only a permission is missing, and when the service fails", async () => {
    for (const status of [200, 403, 404, 429, 500]) await check(`${url}/${status}`);
  });

  it("are rejected when a configured id is unknown to the service", async () => {
    await expect(check(`${url}/404`, { isId: true })).rejects.toThrow("HTTP 404");
  });

  it("are rejected when the service cannot be reached", async () => {
    await expect(check(`http://127.0.0.1:${await freePort()}/`)).rejects.toThrow(
      /^SOME_KEY: 127\.0\.0\.1:\d+ cannot be reached .*ECONNREFUSED/,
    );
  });

  it("of Stripe are rejected when the service does not know them, and the error hides the key", async () => {
    const { url: stripeUrl } = fixture().double;
    const env = { STRIPE_API_KEY: "sk_test_bogus", STRIPE_PRICE_PAID: "price_unknown" };
    const checks = (realStripe(env)?.checks ?? []).map((each) => ({
      ...each,
      url: each.url.replace("https://api.stripe.com", stripeUrl),
    }));
    expect(checks.map(({ variable }) => variable)).toEqual(["STRIPE_API_KEY", "STRIPE_PRICE_PAID"]);
    const error: Error = await checkKeys(checks).then(Promise.reject, (reason) => reason);
    expect(error.message).toContain("STRIPE_API_KEY: ");
    expect(error.message).not.toContain("sk_test_bogus");
  });

  it.each([
    ["anthropic", { ANTHROPIC_API_KEY: "k" }, "https://api.anthropic.com/v1/models", "ANTHROPIC_API_KEY"],
    ["openai", { OPENAI_API_KEY: "k" }, "https://api.openai.com/v1/models", "OPENAI_API_KEY"],
    ["huggingface", { HF_TOKEN: "k" }, "https://huggingface.co/api/whoami-v2", "HF_TOKEN"],
    ["openai", { OPENAI_BASE_URL: "http://localhost:11434/v1" }, "http://localhost:11434/v1/models", "OPENAI_BASE_URL"],
  ])("of %s are checked at a URL that needs a key", (provider, env, asked, variable) => {
    const [only] = realVip({ VIP_PROVIDERS: provider, ...env })?.checks ?? [];
    expect(only).toMatchObject({ url: asked, variable });
  });

  it("of AWS must have the format of an access key", () => {
    const env = { VIP_PROVIDERS: "bedrock", AWS_REGION: "ap-northeast-1", AWS_SECRET_ACCESS_KEY: "s" };
    expect(() => realVip({ ...env, AWS_ACCESS_KEY_ID: "bogus" })).toThrow("AWS_ACCESS_KEY_ID must be");
    expect(() => realVip({ ...env, AWS_ACCESS_KEY_ID: "ASIAIOSFODNN7EXAMPLE" })).toThrow(
      "AWS_SESSION_TOKEN is not set",
    );
  });
});

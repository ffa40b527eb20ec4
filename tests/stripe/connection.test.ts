import type { dynamic } from "@pulumi/pulumi";
import { describe, expect, it, vi } from "vitest";

const API_KEY = "rk_test_CANARYKEY";

function request(config: Record<string, string>): dynamic.ConfigureRequest {
  return { config: { get: (key) => config[key], require: (key) => config[key] ?? "" } };
}

/** As a process of the provider starts: nothing configured. */
async function fresh() {
  vi.resetModules();
  return import("../../stripe/connection.js");
}

describe("the stack's config", () => {
  it("needs only the key: Stripe's own address is the default, patience and version are fixed", async () => {
    const { configure, connection } = await fresh();
    configure(request({ stripeWebhookKey: API_KEY }));
    const client = connection();
    expect(
      ["host", "protocol", "version", "timeout", "maxNetworkRetries"].map((name) => client.getApiField(name as "host")),
    ).toEqual(["api.stripe.com", "https", "2026-10-28.endive", 8_000, 2]);
  });

  it("leads to another address", async () => {
    const { configure, connection } = await fresh();
    configure(request({ stripeWebhookKey: API_KEY, stripeApiUrl: "http://localhost:4103" }));
    expect(["host", "protocol", "port"].map((name) => connection().getApiField(name as "host"))).toEqual([
      "localhost",
      "http",
      4103,
    ]);
  });

  it("may be without a key until the key is needed", async () => {
    const { configure, connection } = await fresh();
    configure(request({}));
    expect(connection).toThrow('stripeWebhookKey is not set: run "pulumi config set --secret stripeWebhookKey <key>".');
  });

  it.each([["whsec_CANARYKEY"], ["rk_test_CANARYKEY\n"], ["pk_test_CANARYKEY"]])(
    "is refused with the key %j, which is not told",
    async (stripeWebhookKey) => {
      const { configure } = await fresh();
      expect(() => configure(request({ stripeWebhookKey }))).toThrow(
        /^stripeWebhookKey must be a key of Stripe's API, rk_… or sk_…\.$/,
      );
    },
  );

  it.each(["stripe", "http://stripe.example", "https://stripe.example/v1", "ftp://localhost"])(
    "is refused with the address %s",
    async (stripeApiUrl) => {
      const { configure } = await fresh();
      expect(() => configure(request({ stripeWebhookKey: API_KEY, stripeApiUrl }))).toThrow(
        `stripeApiUrl must be an https URL without a path (http only on localhost), got "${stripeApiUrl}"`,
      );
    },
  );
});

import type { dynamic } from "@pulumi/pulumi";
import { describe, expect, it, vi } from "vitest";

const API_KEY = "rk_test_CANARYKEY";

function request(config: Record<string, string>): dynamic.ConfigureRequest {
  return { config: { get: (key) => config[key], require: (key) => config[key] ?? "" } };
}

/** Loads the module without configuration, as in a new process of the provider. */
async function fresh() {
  vi.resetModules();
  return import("../../stripe/connection.js");
}

describe("Configuration of the Stripe provider", () => {
  it("has a default for every setting except the key", async () => {
    const { configure, connection } = await fresh();
    configure(request({ stripeWebhookKey: API_KEY }));
    const client = connection();
    expect(
      ["host", "protocol", "version", "timeout", "maxNetworkRetries"].map((name) => client.getApiField(name as "host")),
    ).toEqual(["api.stripe.com", "https", "2026-10-28.endive", 8_000, 2]);
  });

  it("connects to the address in stripeApiUrl", async () => {
    const { configure, connection } = await fresh();
    configure(request({ stripeWebhookKey: API_KEY, stripeApiUrl: "http://localhost:4103" }));
    expect(["host", "protocol", "port"].map((name) => connection().getApiField(name as "host"))).toEqual([
      "localhost",
      "http",
      4103,
    ]);
  });

  it("throws for a missing key only when a client is requested", async () => {
    const { configure, connection } = await fresh();
    configure(request({}));
    expect(connection).toThrow(
      "stripeWebhookKey: is missing; set it with: pulumi config set --secret stripeWebhookKey",
    );
  });

  it.each([["whsec_CANARYKEY"], ["rk_test_CANARYKEY\n"], ["pk_test_CANARYKEY"]])(
    "rejects the key %j, and the error does not show the key",
    async (stripeWebhookKey) => {
      const { configure } = await fresh();
      expect(() => configure(request({ stripeWebhookKey }))).toThrow(
        /^stripeWebhookKey: must be a key of Stripe's API, rk_… or sk_…$/,
      );
    },
  );

  it.each(["stripe", "http://stripe.example", "https://stripe.example/v1", "ftp://localhost"])(
    "rejects the URL %s",
    async (stripeApiUrl) => {
      const { configure } = await fresh();
      expect(() => configure(request({ stripeWebhookKey: API_KEY, stripeApiUrl }))).toThrow(
        `stripeApiUrl: must be an https URL without a path; http is allowed only on localhost, got "${stripeApiUrl}"`,
      );
    },
  );
});

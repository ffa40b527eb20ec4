import { describe, expect, it } from "vitest";
import { realStripe } from "../../local/commands/realStripe";

describe("realStripe", () => {
  it("returns undefined without a key", () => {
    expect(realStripe({})).toBeUndefined();
  });

  it("replaces the settings of the double and removes the double's webhook key", () => {
    const env = {
      STRIPE_API_KEY: "sk_test_1",
      STRIPE_PRICE_PAID: "price_1",
      STRIPE_PRICE_VIP: "price_2",
      STRIPE_WEBHOOK_SECRET: "whsec_1",
    };
    expect(realStripe(env)).toMatchObject({
      config: {
        stripeApiUrl: "https://api.stripe.com",
        stripeApiKey: "sk_test_1",
        stripeWebhookKey: undefined,
        stripeWebhookSecret: "whsec_1",
        "billing.prices": { paid: ["price_1"], vip: ["price_2"] },
      },
      notes: [],
    });
  });

  it("lists the missing settings when only the API key is set", () => {
    const { notes } = realStripe({ STRIPE_API_KEY: "rk_test_1" }) ?? { notes: [] };
    expect(notes.map((note) => /STRIPE_\w+/.exec(note)?.[0])).toEqual([
      "STRIPE_WEBHOOK_SECRET",
      "STRIPE_PRICE_PAID",
      "STRIPE_PRICE_VIP",
    ]);
  });

  it.each(["sk_live_4242", "rk_live_4242"])(
    "throws for the live key %s and does not show the key in the error",
    (key) => {
      expect(() => realStripe({ STRIPE_API_KEY: key })).toThrow(/live key/);
      expect(() => realStripe({ STRIPE_API_KEY: key })).not.toThrow(/4242/);
    },
  );

  it("throws for an invalid key, price or webhook secret", () => {
    expect(() => realStripe({ STRIPE_API_KEY: "sk_test_1", STRIPE_WEBHOOK_SECRET: "we_1" })).toThrow(
      "STRIPE_WEBHOOK_SECRET must be",
    );
    expect(() => realStripe({ STRIPE_API_KEY: "pk_test_1" })).toThrow("must be a test key");
    expect(() => realStripe({ STRIPE_API_KEY: "sk_test_1", STRIPE_PRICE_PAID: "prod_1" })).toThrow(
      "STRIPE_PRICE_PAID must be",
    );
  });
});

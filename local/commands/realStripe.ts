/** Settings for Stripe's test mode instead of the double. */
export interface RealStripe {
  /** Configuration overrides by key; undefined removes a key. */
  config: Record<string, unknown>;
  /** Steps that `npm start` prints for the developer. */
  notes: string[];
}

/**
 * Reads Stripe settings from the environment. `STRIPE_API_KEY`, a test key, replaces the double with the real Stripe.
 * `STRIPE_PRICE_PAID`, `STRIPE_PRICE_VIP` and `STRIPE_WEBHOOK_SECRET` are read only with that key.
 *
 * @returns undefined without `STRIPE_API_KEY`: the double is used
 * @throws Error for a live key or an invalid key, without showing the key
 */
export function realStripe(env: NodeJS.ProcessEnv): RealStripe | undefined {
  const key = env.STRIPE_API_KEY;
  if (!key) return undefined;
  if (/^[sr]k_live_/.test(key)) {
    throw new Error(
      "STRIPE_API_KEY is a live key, but the local cloud must not move real money. Use sk_test_… or rk_test_….",
    );
  }
  if (!/^[sr]k_test_\w+$/.test(key)) throw new Error("STRIPE_API_KEY must be a test key, sk_test_… or rk_test_….");
  const prices = { paid: price(env, "STRIPE_PRICE_PAID"), vip: price(env, "STRIPE_PRICE_VIP") };
  const secret = env.STRIPE_WEBHOOK_SECRET;
  return {
    config: {
      stripeApiUrl: "https://api.stripe.com",
      stripeApiKey: key,
      // Stripe's servers cannot reach this machine. The Stripe CLI forwards the events and signs them with the CLI's
      // secret.
      stripeWebhookKey: undefined,
      stripeWebhookSecret: secret || undefined,
      "billing.prices": prices,
    },
    notes: [
      ...(secret
        ? []
        : [
            "set STRIPE_WEBHOOK_SECRET to the secret that stripe listen prints (whsec_…) and start again; until then every event is rejected",
          ]),
      ...Object.entries(prices).flatMap(([plan, ids]) =>
        ids.length > 0
          ? []
          : [`set STRIPE_PRICE_${plan.toUpperCase()} to a recurring price (price_…) to sell the plan ${plan}`],
      ),
    ],
  };
}

function price(env: NodeJS.ProcessEnv, name: "STRIPE_PRICE_PAID" | "STRIPE_PRICE_VIP"): string[] {
  const id = env[name];
  if (id && !id.startsWith("price_")) throw new Error(`${name} must be the id of a price, price_…, not ${id}`);
  return id ? [id] : [];
}

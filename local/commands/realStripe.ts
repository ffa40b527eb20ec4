/** Settings for Stripe's test mode instead of the double. */
export interface RealStripe {
  /** Configuration overrides by key; undefined removes a key. */
  config: Record<string, unknown>;
  /** Steps that `npm start` prints for the developer. */
  notes: string[];
}

/**
 * Reads Stripe settings from the environment: `STRIPE_API_KEY` (a test key) replaces the double. `STRIPE_PRICE_PAID`,
 * `STRIPE_PRICE_VIP` and `STRIPE_WEBHOOK_SECRET` belong to it.
 *
 * @returns undefined without `STRIPE_API_KEY`, which means the double
 * @throws Error for a live key or an invalid key, without showing it
 */
export function realStripe(env: NodeJS.ProcessEnv): RealStripe | undefined {
  const key = env.STRIPE_API_KEY;
  if (!key) return undefined;
  if (/^[sr]k_live_/.test(key)) {
    throw new Error(
      "STRIPE_API_KEY is a live key: nothing on this machine may move real money. Use sk_test_… or rk_test_….",
    );
  }
  if (!/^[sr]k_test_\w+$/.test(key)) throw new Error("STRIPE_API_KEY must be a test key, sk_test_… or rk_test_….");
  const prices = { paid: price(env, "STRIPE_PRICE_PAID"), vip: price(env, "STRIPE_PRICE_VIP") };
  const secret = env.STRIPE_WEBHOOK_SECRET;
  return {
    config: {
      stripeApiUrl: "https://api.stripe.com",
      stripeApiKey: key,
      // Stripe cannot reach this machine. Its CLI forwards the events and signs them with its own secret.
      stripeWebhookKey: undefined,
      stripeWebhookSecret: secret || undefined,
      "billing.prices": prices,
    },
    notes: [
      ...(secret
        ? []
        : ["set STRIPE_WEBHOOK_SECRET to what it prints (whsec_…) and start again; until then no event is believed"]),
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

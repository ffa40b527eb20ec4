/** Stripe's own test mode in place of the double. */
export interface RealStripe {
  /** Configuration laid over the stack's, by key; undefined takes a key away. */
  config: Record<string, unknown>;
  /** What `npm start` tells the developer to do. */
  notes: string[];
}

/**
 * What the environment says of Stripe: `STRIPE_API_KEY` (a test key) makes the double step aside; `STRIPE_PRICE_PAID`,
 * `STRIPE_PRICE_VIP` and `STRIPE_WEBHOOK_SECRET` go with it.
 *
 * @returns undefined without `STRIPE_API_KEY`: the double it is
 * @throws Error for a live key, and for anything else that is no test key; the key itself is never shown
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
      // Stripe cannot reach this machine: its command line forwards the events, signed with a secret of its own.
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

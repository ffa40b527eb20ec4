import type { KeyCheck } from "./keyCheck";

/** Settings for Stripe's test mode, which replaces the double. */
export interface RealStripe {
  /** Configuration overrides by key; undefined removes a key. */
  config: Record<string, unknown>;
  /** Steps that `npm start` prints for the developer. */
  notes: string[];
  /** Calls to Stripe that show whether the key and the prices exist. */
  checks: KeyCheck[];
}

const STRIPE_URL = "https://api.stripe.com";

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
  if (secret && !secret.startsWith("whsec_"))
    throw new Error("STRIPE_WEBHOOK_SECRET must be the secret that stripe listen prints, whsec_….");
  return {
    config: {
      stripeApiUrl: STRIPE_URL,
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
    checks: checksOf(key, prices),
  };
}

function checksOf(key: string, prices: Record<"paid" | "vip", string[]>): KeyCheck[] {
  const headers = { authorization: `Bearer ${key}` };
  const url = (path: string) => `${STRIPE_URL}/v1/prices${path}`;
  return [
    { variable: "STRIPE_API_KEY", url: url("?limit=1"), headers, expected: "a test key of your account" },
    ...Object.entries(prices).flatMap(([plan, ids]) =>
      ids.map((id) => ({
        variable: `STRIPE_PRICE_${plan.toUpperCase()}`,
        url: url(`/${encodeURIComponent(id)}`),
        headers,
        isId: true,
        expected: "a price of the key's account in test mode",
      })),
    ),
  ];
}

function price(env: NodeJS.ProcessEnv, name: "STRIPE_PRICE_PAID" | "STRIPE_PRICE_VIP"): string[] {
  const id = env[name];
  if (id && !id.startsWith("price_")) throw new Error(`${name} must be the id of a price, price_…, not ${id}`);
  return id ? [id] : [];
}

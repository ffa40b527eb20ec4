import Stripe from "stripe";
import * as z from "zod/mini";
import { configKey } from "../../names";
import { clientOptions } from "../../stripe/clientOptions";
import { intervals, type Offer } from "../page/config";
import type { StackConfig } from "../support/stackConfig";

const TIMEOUT_MS = 5_000;
const Billing = z.object({ prices: z.object({ paid: z.array(z.string()), vip: z.array(z.string()) }) });

/**
 * Reads the plans for sale from Stripe: the first price of each plan, as Checkout sells it. A plan has neither name nor
 * price when Stripe does not answer. No plan is for sale without `billing.prices`.
 */
export async function readOffers({ values }: StackConfig): Promise<Offer[]> {
  const billing = Billing.safeParse(JSON.parse(values[configKey("billing")] ?? "null"));
  const key = values[configKey("stripeApiKey")];
  if (!billing.success || !key) return [];
  const url = values[configKey("stripeApiUrl")] ?? "https://api.stripe.com";
  const stripe = new Stripe(key, { ...clientOptions(url), timeout: TIMEOUT_MS, maxNetworkRetries: 1 });
  const offers = (["paid", "vip"] as const).map(async (plan): Promise<Offer[]> => {
    const [priceId] = billing.data.prices[plan];
    if (priceId === undefined) return [];
    const price = await stripe.prices.retrieve(priceId, { expand: ["product"] }).catch(() => undefined);
    return [{ plan, ...(price && describe(price)) }];
  });
  return (await Promise.all(offers)).flat();
}

function describe({ product, unit_amount, currency, recurring }: Stripe.Price): Omit<Offer, "plan"> {
  const name = typeof product === "object" && "name" in product ? product.name : undefined;
  const interval = intervals.find((known) => recurring?.interval_count === 1 && known === recurring.interval);
  return {
    ...(name !== undefined && { name }),
    ...(unit_amount !== null && interval && { price: { amount: unit_amount, currency, interval } }),
  };
}

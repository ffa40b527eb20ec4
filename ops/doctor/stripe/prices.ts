import type Stripe from "stripe";
import { type Check, failed, ok, unknown, warning } from "../check";
import { isMissing, type StripeAccess, stripeClient, stripeReason, stripeTodo } from "./client";

/** Reason why Stripe did not show a price, and the next step. */
interface Unread {
  reason: string;
  todo: string;
}

/** A configured price. */
export interface PriceFacts {
  plan: "paid" | "vip";
  id: string;
  /** Whether the program sells this price: the first one of its plan. */
  isSold: boolean;
  /** The price with its product; `missing` when Stripe does not have it. */
  found: Stripe.Price | "missing" | Unread;
}

/** Checks that each configured price can be sold or renewed. One line per plan. */
export function judgePrices(prices: PriceFacts[]): Check[] {
  const sold = prices.flatMap(({ found, isSold }) => (isSold && isPrice(found) ? [found.currency] : []));
  const lines = (["paid", "vip"] as const).map((plan) => {
    const name = `${plan} prices`;
    const own = prices.filter((price) => price.plan === plan);
    if (own.length === 0)
      return warning(
        name,
        "the plan has no price, so that nobody can buy it",
        `Set billing.prices.${plan}, if the plan is for sale.`,
      );
    const [unread] = own.flatMap(({ found }) => (typeof found === "object" && "reason" in found ? [found] : []));
    const problems = own.flatMap((price) => problemsOf(price).map((problem) => `${price.id} ${problem}`));
    const isBroken = own.some((price) => price.isSold && problemsOf(price).length > 0);
    const todo = `Create a recurring price of the plan's product in Stripe's dashboard, and set it first in billing.prices.${plan}.`;
    if (problems.length > 0) return (isBroken ? failed : warning)(name, problems.join("; "), todo);
    if (unread) return unknown(name, `Stripe did not show them: ${unread.reason}`, unread.todo);
    return ok(name, own.map(describe).join("; "));
  });
  if (new Set(sold).size > 1) {
    const seen = `the plans are sold in different currencies: ${sold.join(", ")}. The portal cannot change between them`;
    lines.push(warning("price currencies", seen, "Sell both plans in one currency."));
  }
  return lines;
}

function problemsOf({ found, isSold, plan }: PriceFacts): string[] {
  if (found === "missing") return ["does not exist in this account and mode"];
  if (!isPrice(found)) return [];
  const product = typeof found.product === "object" ? found.product : undefined;
  const isDead = product !== undefined && ("deleted" in product || !product.active);
  return [
    // Subscriptions keep an archived price, so that only the sold one must be active.
    ...(isSold && !found.active ? ["is archived: Checkout refuses it"] : []),
    ...(isSold && isDead ? ["has an archived product: Checkout refuses it"] : []),
    ...(found.type === "recurring" ? [] : ["is a one-time price: the plan would end at once"]),
    ...(found.recurring?.usage_type === "metered" ? ["is metered: customers would pay by use"] : []),
    ...(isSold && found.unit_amount === 0 ? [`costs nothing: everybody gets ${plan}`] : []),
  ];
}

function isPrice(found: PriceFacts["found"]): found is Stripe.Price {
  return typeof found === "object" && "active" in found;
}

function describe({ id, found }: PriceFacts): string {
  if (!isPrice(found)) return id;
  const { product, currency, unit_amount, recurring } = found;
  const name = typeof product === "object" && "name" in product ? product.name : "";
  return `${id} (${name}, ${amountText(unit_amount, currency)} a ${recurring?.interval})`;
}

/** Currencies without cents whose amounts Stripe gives in cents all the same: https://docs.stripe.com/currencies. */
const withTwoDecimals = ["isk", "ugx"];

/**
 * Stripe's amount in the currency's main unit. Stripe counts cents, except for currencies without cents, such as jpy. A
 * price with tiers has no amount.
 */
function amountText(amount: number | null, currency: string): string {
  if (amount === null) return `tiers in ${currency}`;
  if (withTwoDecimals.includes(currency)) return `${(amount / 100).toFixed(0)} ${currency}`;
  const { maximumFractionDigits = 0 } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
  return `${(amount / 10 ** maximumFractionDigits).toFixed(maximumFractionDigits)} ${currency}`;
}

/** Reads the prices of `billing.prices`, with their products. */
export async function checkPrices(access: StripeAccess, prices: Record<"paid" | "vip", string[]>): Promise<Check[]> {
  const stripe = stripeClient(access);
  const asked = (["paid", "vip"] as const).flatMap((plan) =>
    prices[plan].map(async (id, index): Promise<PriceFacts> => {
      const found = await stripe.prices.retrieve(id, { expand: ["product"] }).catch((error: unknown) => {
        if (isMissing(error)) return "missing" as const;
        const permission = "Give stripeApiKey the permission to read prices and products.";
        return { reason: stripeReason(error), todo: stripeTodo(error, permission) };
      });
      return { plan, id, isSold: index === 0, found };
    }),
  );
  return judgePrices(await Promise.all(asked));
}

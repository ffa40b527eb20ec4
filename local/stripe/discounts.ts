import type Stripe from "stripe";
import { newId } from "./ids";
import type { Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import { addMonths } from "./subscriptions";

/**
 * Returns the discount of a coupon on each amount. `percent_off` applies to every amount; `amount_off` is used up in
 * the order of the amounts.
 */
export function amountsOff({ percent_off, amount_off }: Stripe.Coupon, amounts: number[]): number[] {
  if (percent_off !== null) return amounts.map((amount) => Math.round((amount * percent_off) / 100));
  let left = amount_off ?? 0;
  return amounts.map((amount) => {
    const off = Math.min(left, amount);
    left -= off;
    return off;
  });
}

/**
 * Adds the discounts of coupons to a subscription and keeps its existing discounts.
 *
 * @throws StripeProblem for an unknown coupon
 */
export function addDiscounts(
  ledger: Ledger,
  { id, customer, discounts }: Stripe.Subscription,
  coupons: string[],
  checkoutSession: string | null = null,
): Stripe.Subscription {
  const start = ledger.now(customer as string);
  const added = coupons.map((name) => {
    const coupon = ledger.get("coupon", name, "discounts[0][coupon]");
    const months = coupon.duration === "repeating" ? coupon.duration_in_months : null;
    const discount = blank.discount({
      id: newId("di"),
      checkout_session: checkoutSession,
      customer,
      end: months === null ? null : addMonths(start, months),
      start,
      subscription: id,
      coupon: coupon.id,
    });
    ledger.put("discount", discount);
    ledger.change("coupon", coupon.id, { times_redeemed: coupon.times_redeemed + 1 });
    ledger.emit("customer.discount.created", discount);
    return discount.id;
  });
  return ledger.change("subscription", id, { discounts: [...discounts, ...added] });
}

/**
 * Applies a subscription's discounts to the lines of its next invoice. A coupon with the duration `once` applies only
 * to the first invoice that has an amount.
 */
export function discounted(
  ledger: Ledger,
  subscription: Stripe.Subscription,
  lines: Stripe.InvoiceLineItem[],
): { lines: Stripe.InvoiceLineItem[]; discounts: string[]; total_discount_amounts: DiscountAmount[] } {
  const now = ledger.now(subscription.customer as string);
  const totals: DiscountAmount[] = [];
  let result = lines;
  for (const id of subscription.discounts as string[]) {
    const { end, source } = ledger.get("discount", id);
    if (end !== null && end <= now) continue;
    const coupon = ledger.get("coupon", source.coupon as string);
    const off = amountsOff(coupon, result.map(amountLeft));
    const amount = off.reduce((sum, one) => sum + one, 0);
    if (amount === 0) continue;
    result = result.map((line, at) => ({
      ...line,
      discounts: [...line.discounts, id],
      discount_amounts: [...(line.discount_amounts ?? []), { amount: off[at] ?? 0, discount: id }],
    }));
    totals.push({ amount, discount: id });
    if (coupon.duration === "once") removeDiscount(ledger, subscription.id, id);
  }
  return { lines: result, discounts: totals.map(({ discount }) => discount), total_discount_amounts: totals };
}

/** Amount that a discount takes off an invoice. */
interface DiscountAmount {
  amount: number;
  discount: string;
}

function amountLeft({ amount, discount_amounts }: Stripe.InvoiceLineItem): number {
  return (discount_amounts ?? []).reduce((left, off) => left - off.amount, amount);
}

function removeDiscount(ledger: Ledger, subscriptionId: string, id: string): void {
  const { discounts } = ledger.get("subscription", subscriptionId);
  ledger.change("subscription", subscriptionId, { discounts: discounts.filter((one) => one !== id) });
  ledger.emit("customer.discount.deleted", ledger.get("discount", id));
}

import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import * as blank from "../objectDefaults";
import { expand, int } from "../parameters";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";

/** Coupons. The parameter `discounts` of a subscription or a Checkout Session takes coupons. */
export function couponsRoutes({ ledger }: StripeAccount): Route[] {
  return [
    route(
      "POST /coupons",
      z.strictObject({
        id: z.string().optional(),
        name: z.string().max(40).optional(),
        percent_off: z.coerce.number().gt(0).max(100).optional(),
        amount_off: int.optional(),
        currency: z.string().toLowerCase().optional(),
        duration: z.enum(["forever", "once", "repeating"]).default("once"),
        duration_in_months: int.optional(),
        expand,
      }),
      ({ id, name, percent_off, amount_off, currency, duration, duration_in_months }) => {
        if ((percent_off === undefined) === (amount_off === undefined))
          throw invalid("You must pass either `percent_off` or `amount_off`, but not both.", "percent_off");
        if (amount_off !== undefined && currency === undefined)
          throw invalid("You must pass `currency` when passing `amount_off`.", "currency");
        if ((duration === "repeating") !== (duration_in_months !== undefined))
          throw invalid(
            "`duration_in_months` is required when `duration` is repeating, and not allowed otherwise.",
            "duration_in_months",
          );
        const coupon = blank.coupon({
          id: id ?? newId("coupon", 8),
          created: ledger.now(),
          name: name ?? null,
          percent_off: percent_off ?? null,
          amount_off: amount_off ?? null,
          currency: currency ?? null,
          duration,
          duration_in_months: duration_in_months ?? null,
        });
        ledger.put("coupon", coupon);
        ledger.emit("coupon.created", coupon);
        return coupon;
      },
    ),
    route("GET /coupons/:id", nothing, (_, id) => ledger.get("coupon", id, "coupon")),
  ];
}

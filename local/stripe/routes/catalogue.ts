import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import { list } from "../lookups";
import * as blank from "../objectDefaults";
import { bool, expand, int, metadata, paging } from "../parameters";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";

/** Products and prices. */
export function catalogueRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /products",
      z.strictObject({
        id: z.string().optional(),
        name: z.string().min(1),
        description: z.string().optional(),
        active: bool.optional(),
        metadata: metadata.optional(),
        expand,
      }),
      ({ id, name, description, active, metadata: data = {} }) => {
        const product = blank.product({
          id: id ?? newId("prod", 14),
          created: account.now(),
          name,
          description: description ?? null,
          active: active ?? true,
          metadata: data,
        });
        ledger.put("product", product);
        ledger.emit("product.created", product);
        return product;
      },
    ),
    route("GET /products/:id", nothing, (_, id) => ledger.get("product", id)),
    route("GET /products", z.strictObject({ active: bool.optional(), ...paging }), ({ active, ...page }) =>
      list(ledger, "product", "/v1/products", page, (one) => active === undefined || one.active === active),
    ),
    route(
      "POST /prices",
      z.strictObject({
        currency: z.string().regex(/^[a-z]{3}$/i, "Invalid currency"),
        unit_amount: int,
        product: z.string().optional(),
        product_data: z.strictObject({ name: z.string(), metadata: metadata.optional() }).optional(),
        recurring: z
          .strictObject({ interval: z.enum(["day", "week", "month", "year"]), interval_count: int.optional() })
          .optional(),
        nickname: z.string().optional(),
        lookup_key: z.string().optional(),
        metadata: metadata.optional(),
        expand,
      }),
      ({
        currency,
        unit_amount,
        product,
        product_data,
        recurring: every,
        nickname,
        lookup_key,
        metadata: data = {},
      }) => {
        if (product === undefined && !product_data)
          throw invalid("You must specify either `product` or `product_data` when creating a price.");
        const created = account.now();
        const made =
          product_data &&
          ledger.put(
            "product",
            blank.product({
              id: newId("prod", 14),
              created,
              name: product_data.name,
              description: null,
              active: true,
              metadata: product_data.metadata ?? {},
            }),
          );
        const price = blank.price({
          id: newId("price"),
          created,
          currency: currency.toLowerCase(),
          product: made?.id ?? ledger.get("product", product ?? "", "product").id,
          recurring: every
            ? {
                interval: every.interval,
                interval_count: every.interval_count ?? 1,
                meter: null,
                trial_period_days: null,
                usage_type: "licensed",
              }
            : null,
          nickname: nickname ?? null,
          lookup_key: lookup_key ?? null,
          metadata: data,
          unit_amount,
        });
        ledger.put("price", price);
        ledger.emit("price.created", price);
        return price;
      },
    ),
    route("GET /prices/:id", nothing, (_, id) => ledger.get("price", id)),
    route(
      "GET /prices",
      z.strictObject({
        active: bool.optional(),
        product: z.string().optional(),
        lookup_keys: z.array(z.string()).optional(),
        type: z.enum(["recurring", "one_time"]).optional(),
        ...paging,
      }),
      ({ active, product, lookup_keys, type, ...page }) =>
        list(
          ledger,
          "price",
          "/v1/prices",
          page,
          (one) =>
            (active === undefined || one.active === active) &&
            (product === undefined || one.product === product) &&
            (type === undefined || one.type === type) &&
            (lookup_keys === undefined || lookup_keys.includes(one.lookup_key ?? "")),
        ),
    ),
  ];
}

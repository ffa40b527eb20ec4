import { z } from "zod";
import type { StripeAccount } from "../account";
import { list } from "../lookups";
import { bool, paging, timeRange, within } from "../parameters";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";

/** Events. */
export function eventsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route("GET /events/:id", nothing, (_, id) => ledger.get("event", id)),
    route(
      "GET /events",
      z.strictObject({
        type: z.string().optional(),
        types: z.array(z.string()).max(20).optional(),
        created: timeRange.optional(),
        delivery_success: bool.optional(),
        ...paging,
      }),
      ({ type, types, created, delivery_success, ...page }) => {
        if (type !== undefined && types !== undefined)
          throw invalid("You may only specify one of these parameters: type, types.");
        const isWanted = (name: string) => {
          const patterns = types ?? (type === undefined ? ["*"] : [type]);
          return patterns.some(
            (pattern) => pattern === name || (pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1))),
          );
        };
        return list(
          ledger,
          "event",
          "/v1/events",
          page,
          (one) =>
            isWanted(one.type) &&
            within(one.created, created) &&
            (delivery_success === undefined || account.isDelivered(one) === delivery_success),
        );
      },
    ),
  ];
}

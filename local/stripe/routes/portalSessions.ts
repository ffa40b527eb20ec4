import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import { liveCustomer } from "../lookups";
import { expand } from "../parameters";
import { type Route, route } from "../route";

/** Sessions of the customer portal. */
export function portalSessionsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /billing_portal/sessions",
      z.strictObject({
        customer: z.string(),
        return_url: z
          .string()
          .regex(/^https?:\/\/.+/, "Not a valid URL")
          .optional(),
        configuration: z.string().optional(),
        locale: z.string().optional(),
        expand,
      }),
      ({ customer, return_url, configuration }) => {
        liveCustomer(ledger, customer);
        const id = newId("bps");
        return ledger.put("billing_portal.session", {
          id,
          object: "billing_portal.session",
          configuration: configuration ?? "bpc_1DoubleDefault000000000",
          created: ledger.now(customer),
          customer,
          customer_account: null,
          flow: null,
          livemode: false,
          locale: null,
          on_behalf_of: null,
          return_url: return_url ?? null,
          url: account.pageUrl(`/p/session/${id}`),
        });
      },
    ),
  ];
}

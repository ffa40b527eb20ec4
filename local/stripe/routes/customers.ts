import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { testCard } from "../cards";
import { newId } from "../ids";
import { list, liveCustomer } from "../lookups";
import * as blank from "../objectDefaults";
import { expand, merged, metadata, paging, timeRange, within } from "../parameters";
import { expireSession } from "../renewals";
import { nothing, type Route, route } from "../route";
import { endSubscription } from "../subscriptions";

/** Customers and their payment methods. */
export function customersRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /customers",
      z.strictObject({
        email: z
          .string()
          .regex(/^[^@\s]+@[^@\s]+$/, "Invalid email address")
          .max(512)
          .optional(),
        name: z.string().optional(),
        description: z.string().optional(),
        phone: z.string().optional(),
        preferred_locales: z.array(z.string()).optional(),
        metadata: metadata.optional(),
        test_clock: z.string().optional(),
        payment_method: z.string().optional(),
        invoice_settings: z.strictObject({ default_payment_method: z.string().optional() }).optional(),
        expand,
      }),
      ({
        email,
        name,
        description,
        phone,
        preferred_locales,
        metadata: data = {},
        test_clock,
        payment_method,
        invoice_settings,
      }) => {
        const clock =
          test_clock === undefined ? undefined : ledger.get("test_helpers.test_clock", test_clock, "test_clock");
        const customer = blank.customer({
          id: newId("cus", 14),
          created: clock?.frozen_time ?? account.now(),
          email: email ?? null,
          name: name ?? null,
          description: description ?? null,
          phone: phone ?? null,
          preferred_locales: preferred_locales ?? [],
          metadata: data,
          test_clock: clock?.id ?? account.defaultClock,
        });
        ledger.put("customer", customer);
        if (payment_method) {
          const card = account.replaceCard(customer.id, testCard(payment_method, "payment_method"));
          const chosen = invoice_settings?.default_payment_method ? card.id : null;
          ledger.put("customer", {
            ...customer,
            invoice_settings: { ...customer.invoice_settings, default_payment_method: chosen },
          });
        }
        return ledger.get(
          "customer",
          ledger.emit("customer.created", ledger.get("customer", customer.id)) && customer.id,
        );
      },
    ),
    route("GET /customers/:id", nothing, (_, id) => ledger.get("customer", id)),
    route(
      "POST /customers/:id",
      z.strictObject({
        email: z.string().optional(),
        name: z.string().optional(),
        description: z.string().optional(),
        phone: z.string().optional(),
        preferred_locales: z.array(z.string()).optional(),
        metadata: metadata.optional(),
        invoice_settings: z.strictObject({ default_payment_method: z.string().optional() }).optional(),
        expand,
      }),
      ({ metadata: data, invoice_settings, expand: _, ...given }, id) => {
        const before = liveCustomer(ledger, id, "id");
        const method = invoice_settings?.default_payment_method;
        if (method) ledger.get("payment_method", method, "invoice_settings[default_payment_method]");
        return ledger.change(
          "customer",
          id,
          {
            ...(Object.fromEntries(
              Object.entries(given).filter(([, value]) => value !== undefined),
            ) as Partial<Stripe.Customer>),
            metadata: merged(before.metadata, data),
            ...(method && { invoice_settings: { ...before.invoice_settings, default_payment_method: method } }),
          },
          "customer.updated",
        );
      },
    ),
    route("DELETE /customers/:id", nothing, (_, id) => {
      const before = liveCustomer(ledger, id, "id");
      for (const one of account.subscriptionsOf(id)) {
        if (!["canceled", "incomplete_expired"].includes(one.status))
          endSubscription(ledger, one.id, "cancellation_requested");
      }
      for (const session of ledger.all("checkout.session"))
        if (session.customer === id && session.status === "open") expireSession(ledger, session.id);
      const deleted: Stripe.DeletedCustomer = { id, object: "customer", deleted: true };
      ledger.put("customer", deleted);
      ledger.emit("customer.deleted", before);
      return deleted;
    }),
    route(
      "GET /customers",
      z.strictObject({
        email: z.string().optional(),
        created: timeRange.optional(),
        test_clock: z.string().optional(),
        ...paging,
      }),
      ({ email, created, test_clock, ...page }) =>
        list(ledger, "customer", "/v1/customers", page, (one) => {
          if (one.deleted) return false;
          // Stripe compares e-mail addresses case-sensitively.
          return (
            (email === undefined || one.email === email) &&
            within(one.created, created) &&
            (test_clock === undefined || one.test_clock === test_clock)
          );
        }),
    ),

    route("POST /payment_methods/:id/attach", z.strictObject({ customer: z.string(), expand }), ({ customer }, id) => {
      liveCustomer(ledger, customer);
      return account.attachCard(customer, testCard(id, "payment_method"));
    }),
    route("GET /payment_methods/:id", nothing, (_, id) => ledger.get("payment_method", id)),
    route(
      "GET /customers/:id/payment_methods",
      z.strictObject({ type: z.string().optional(), ...paging }),
      (page, id) =>
        list(ledger, "payment_method", `/v1/customers/${id}/payment_methods`, page, (one) => one.customer === id),
    ),
    route("GET /payment_intents/:id", nothing, (_, id) => ledger.get("payment_intent", id)),
  ];
}

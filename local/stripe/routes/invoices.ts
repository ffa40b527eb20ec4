import { z } from "zod";
import type { StripeAccount } from "../account";
import { list } from "../lookups";
import { bool, expand, paging, timeRange, within } from "../parameters";
import { collect, finalizeInvoice, paymentProblem } from "../payments";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";
import { subscriptionOf } from "../subscriptions";

const PayInvoice = z.strictObject({
  payment_method: z.string().optional(),
  paid_out_of_band: bool.optional(),
  expand,
});

/** Invoices and their payments. */
export function invoicesRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route("GET /invoices/:id", nothing, (_, id) => ledger.get("invoice", id)),
    route(
      "GET /invoices",
      z.strictObject({
        customer: z.string().optional(),
        subscription: z.string().optional(),
        status: z.enum(["draft", "open", "paid", "uncollectible", "void"]).optional(),
        created: timeRange.optional(),
        ...paging,
      }),
      ({ customer, subscription, status, created, ...page }) =>
        list(
          ledger,
          "invoice",
          "/v1/invoices",
          page,
          (one) =>
            (customer === undefined || one.customer === customer) &&
            (subscription === undefined || subscriptionOf(ledger, one)?.id === subscription) &&
            (status === undefined || one.status === status) &&
            within(one.created, created),
        ),
    ),
    route("POST /invoices/:id/pay", PayInvoice, ({ paid_out_of_band }, id) => {
      const payment = collect(ledger, ledger.get("invoice", id).id, { outOfBand: paid_out_of_band === true });
      if (!payment.paid) throw paymentProblem(payment);
      return ledger.get("invoice", id);
    }),
    route("POST /invoices/:id/finalize", nothing, (_, id) => finalizeInvoice(ledger, id)),
    route("POST /invoices/:id/void", nothing, (_, id) => {
      if (ledger.get("invoice", id).status !== "open")
        throw invalid("You can only pass in open invoices. This invoice isn't open.");
      return ledger.change("invoice", id, { status: "void" }, "invoice.voided");
    }),
    route("POST /invoices/:id/mark_uncollectible", nothing, (_, id) => {
      if (ledger.get("invoice", id).status !== "open")
        throw invalid("You can only pass in open invoices. This invoice isn't open.");
      return ledger.change("invoice", id, { status: "uncollectible" }, "invoice.marked_uncollectible");
    }),
    route(
      "GET /invoice_payments",
      z.strictObject({
        invoice: z.string().optional(),
        status: z.enum(["canceled", "open", "paid"]).optional(),
        payment: z
          .strictObject({
            type: z.enum(["payment_intent", "charge"]),
            payment_intent: z.string().optional(),
            charge: z.string().optional(),
          })
          .optional(),
        ...paging,
      }),
      ({ invoice, status, payment, ...page }) =>
        list(
          ledger,
          "invoice_payment",
          "/v1/invoice_payments",
          page,
          (one) =>
            (invoice === undefined || one.invoice === invoice) &&
            (status === undefined || one.status === status) &&
            (payment?.payment_intent === undefined || one.payment.payment_intent === payment.payment_intent),
        ),
    ),
  ];
}

import { z } from "zod";
import type { StripeAccount } from "../account";
import { list } from "../lookups";
import { bool, expand, int, merged, metadata, paging, timeRange, within } from "../parameters";
import { makeRefund } from "../payments";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";

/** Charges, refunds and disputes. */
export function paymentsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route("GET /charges/:id", nothing, (_, id) => ledger.get("charge", id)),
    route(
      "GET /charges",
      z.strictObject({
        customer: z.string().optional(),
        payment_intent: z.string().optional(),
        created: timeRange.optional(),
        ...paging,
      }),
      ({ customer, payment_intent, created, ...page }) =>
        list(
          ledger,
          "charge",
          "/v1/charges",
          page,
          (one) =>
            (customer === undefined || one.customer === customer) &&
            (payment_intent === undefined || one.payment_intent === payment_intent) &&
            within(one.created, created),
        ),
    ),
    route(
      "POST /refunds",
      z.strictObject({
        charge: z.string().optional(),
        payment_intent: z.string().optional(),
        amount: int.optional(),
        reason: z.enum(["duplicate", "fraudulent", "requested_by_customer"]).optional(),
        metadata: metadata.optional(),
        expand,
      }),
      ({ charge, payment_intent, amount, reason }) => {
        if (charge === undefined && payment_intent === undefined)
          throw invalid("One of the following params should be provided for this request: payment_intent or charge.");
        const id = charge ?? String(ledger.get("payment_intent", payment_intent ?? "", "payment_intent").latest_charge);
        return makeRefund(ledger, ledger.get("charge", id, "charge"), amount, reason ?? null);
      },
    ),
    route("GET /refunds/:id", nothing, (_, id) => ledger.get("refund", id)),
    route(
      "GET /refunds",
      z.strictObject({ charge: z.string().optional(), payment_intent: z.string().optional(), ...paging }),
      ({ charge, payment_intent, ...page }) =>
        list(
          ledger,
          "refund",
          "/v1/refunds",
          page,
          (one) =>
            (charge === undefined || one.charge === charge) &&
            (payment_intent === undefined || one.payment_intent === payment_intent),
        ),
    ),
    route("GET /disputes/:id", nothing, (_, id) => ledger.get("dispute", id)),
    route(
      "GET /disputes",
      z.strictObject({
        charge: z.string().optional(),
        payment_intent: z.string().optional(),
        created: timeRange.optional(),
        ...paging,
      }),
      ({ charge, payment_intent, created, ...page }) =>
        list(
          ledger,
          "dispute",
          "/v1/disputes",
          page,
          (one) =>
            (charge === undefined || one.charge === charge) &&
            (payment_intent === undefined || one.payment_intent === payment_intent) &&
            within(one.created, created),
        ),
    ),
    route(
      "POST /disputes/:id",
      z.strictObject({
        metadata: metadata.optional(),
        submit: bool.optional(),
        evidence: z.record(z.string(), z.string()).optional(),
        expand,
      }),
      ({ metadata: data, submit, evidence }, id) => {
        const before = ledger.get("dispute", id);
        return ledger.change(
          "dispute",
          id,
          {
            metadata: merged(before.metadata, data),
            ...(evidence && { evidence: { ...before.evidence, ...evidence } }),
            ...(evidence && submit !== false && { status: "under_review" }),
          },
          "charge.dispute.updated",
        );
      },
    ),
    // Closing a dispute accepts it as lost.
    route("POST /disputes/:id/close", nothing, (_, id) => account.closeDispute(ledger.get("dispute", id).id, "lost")),
  ];
}

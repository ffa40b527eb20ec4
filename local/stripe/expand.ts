import type { Ledger } from "./ledger";
import { invalid } from "./problem";
import type { Kind } from "./state";

/** Kind of object by id prefix. */
const kinds: readonly (readonly [prefix: string, kind: Kind])[] = [
  ["cus_", "customer"],
  ["prod_", "product"],
  ["price_", "price"],
  ["di_", "discount"],
  ["pm_", "payment_method"],
  ["pi_", "payment_intent"],
  ["ch_", "charge"],
  ["re_", "refund"],
  ["du_", "dispute"],
  ["sub_", "subscription"],
  ["in_", "invoice"],
  ["inpay_", "invoice_payment"],
  ["cs_", "checkout.session"],
  ["clock_", "test_helpers.test_clock"],
];

/**
 * Replaces ids with objects for the requested `expand` paths, at most four levels deep.
 *
 * @param answer an object, or a list whose items are addressed by `data.`
 * @throws StripeProblem for an invalid path
 */
export function expanded(ledger: Ledger, answer: object, paths: string[] = []): object {
  const copy = structuredClone(answer);
  for (const path of paths) {
    const steps = path.split(".");
    if (steps.length > 4) throw invalid("You cannot expand more than 4 levels of a property.", "expand");
    follow(ledger, copy, steps, path);
  }
  return copy;
}

function follow(ledger: Ledger, value: unknown, [step = "", ...rest]: string[], path: string): void {
  if (Array.isArray(value)) {
    for (const item of value) follow(ledger, item, [step, ...rest], path);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const object = value as Record<string, unknown>;
  // Stripe computes this amount only on request, so events never contain it
  // (https://docs.stripe.com/changelog/dahlia/2026-05-27/invoice-object-amount-paid-off-stripe-property).
  if (object.object === "invoice" && step === "amount_paid_off_stripe") {
    object[step] = ledger.state.paidOffStripe[String(object.id)] ?? 0;
    return;
  }
  if (!(step in object)) throw invalid(`This property cannot be expanded (${path}).`, "expand");
  const at = object[step];
  if (typeof at === "string") {
    const kind = kinds.find(([prefix]) => at.startsWith(prefix))?.[1];
    if (!kind) throw invalid(`This property cannot be expanded (${path}).`, "expand");
    object[step] = structuredClone(ledger.find(kind, at) ?? at);
  }
  if (rest.length > 0) follow(ledger, object[step], rest, path);
}

import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { list, liveCustomer, recurringPrice } from "../lookups";
import { bool, expand, int, merged, metadata, paging, timeRange, within } from "../parameters";
import { collect, draftInvoice, finalizeInvoice, paymentProblem } from "../payments";
import { invalid, missing } from "../problem";
import { nothing, type Route, route } from "../route";
import { DAY, endSubscription, mustLive, openSubscription } from "../subscriptions";

const cancellation = z.strictObject({ comment: z.string().optional(), feedback: z.string().optional() }).optional();

/** Subscriptions and their items. */
export function subscriptionsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /subscriptions",
      z.strictObject({
        customer: z.string(),
        items: z
          .array(z.strictObject({ price: z.string(), quantity: int.optional() }))
          .min(1)
          .max(20),
        default_payment_method: z.string().optional(),
        payment_behavior: z
          .enum(["allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"])
          .optional(),
        trial_period_days: int.optional(),
        trial_end: int.optional(),
        cancel_at_period_end: bool.optional(),
        metadata: metadata.optional(),
        expand,
      }),
      ({
        customer,
        items,
        default_payment_method,
        payment_behavior = "allow_incomplete",
        trial_period_days,
        trial_end,
        cancel_at_period_end,
        metadata: data = {},
      }) => {
        liveCustomer(ledger, customer);
        const now = ledger.now(customer);
        const priced = items.map(({ price, quantity = 1 }, at) => ({
          price: recurringPrice(ledger, price, `items[${at}][price]`),
          quantity,
        }));
        const card =
          default_payment_method ??
          (liveCustomer(ledger, customer).invoice_settings.default_payment_method as string | null);
        const end = trial_end ?? (trial_period_days ? now + trial_period_days * DAY : null);
        if (!end && !card && payment_behavior === "allow_incomplete")
          throw invalid(
            "This customer has no attached payment source or default payment method. Please consider adding a default payment method.",
            undefined,
            "resource_missing",
          );
        const subscription = openSubscription(ledger, {
          customer,
          items: priced,
          metadata: data,
          paymentMethod: default_payment_method ?? null,
          trialEnd: end,
          status: "incomplete",
        });
        if (cancel_at_period_end) ledger.put("subscription", { ...subscription, cancel_at_period_end });
        ledger.emit("customer.subscription.created", ledger.get("subscription", subscription.id));
        const invoice = draftInvoice(ledger, ledger.get("subscription", subscription.id), "subscription_create");
        finalizeInvoice(ledger, invoice.id);
        if (payment_behavior !== "default_incomplete" || end) {
          const payment = collect(ledger, invoice.id);
          if (!payment.paid && payment_behavior === "error_if_incomplete") {
            ledger.remove("subscription", subscription.id);
            throw paymentProblem(payment);
          }
        }
        return ledger.get("subscription", subscription.id);
      },
    ),
    route("GET /subscriptions/:id", nothing, (_, id) => ledger.get("subscription", id)),
    route(
      "GET /subscriptions",
      z.strictObject({
        customer: z.string().optional(),
        price: z.string().optional(),
        status: z
          .enum([
            "active",
            "all",
            "canceled",
            "ended",
            "incomplete",
            "incomplete_expired",
            "past_due",
            "paused",
            "trialing",
            "unpaid",
          ])
          .optional(),
        created: timeRange.optional(),
        test_clock: z.string().optional(),
        ...paging,
      }),
      ({ customer, price, status, created, test_clock, ...page }) => {
        const wanted = (one: Stripe.Subscription) => {
          if (status === "all") return true;
          if (status === undefined) return one.status !== "canceled";
          if (status === "ended") return ["canceled", "incomplete_expired"].includes(one.status);
          return one.status === status;
        };
        return list(
          ledger,
          "subscription",
          "/v1/subscriptions",
          page,
          (one) =>
            wanted(one) &&
            (customer === undefined || one.customer === customer) &&
            (price === undefined || one.items.data.some((item) => item.price.id === price)) &&
            (test_clock === undefined || one.test_clock === test_clock) &&
            within(one.created, created),
        );
      },
    ),
    route(
      "POST /subscriptions/:id",
      z.strictObject({
        cancel_at_period_end: bool.optional(),
        cancel_at: z.union([z.literal("").transform(() => null), int]).optional(),
        items: z
          .array(z.strictObject({ id: z.string().optional(), price: z.string().optional(), quantity: int.optional() }))
          .max(20)
          .optional(),
        default_payment_method: z.string().optional(),
        metadata: metadata.optional(),
        pause_collection: z
          .union([
            z.literal("").transform(() => null),
            z.strictObject({
              behavior: z.enum(["keep_as_draft", "mark_uncollectible", "void"]),
              resumes_at: int.optional(),
            }),
          ])
          .optional(),
        proration_behavior: z.enum(["always_invoice", "create_prorations", "none"]).optional(),
        cancellation_details: cancellation,
        trial_end: z.union([z.literal("now"), int]).optional(),
        expand,
      }),
      (
        { cancel_at_period_end, cancel_at, items, default_payment_method, metadata: data, pause_collection, trial_end },
        id,
      ) => {
        const before = ledger.get("subscription", id);
        if (Object.keys({ cancel_at_period_end, cancel_at, items, pause_collection }).length > 0) {
          if (cancel_at_period_end !== undefined || cancel_at !== undefined || items || pause_collection !== undefined)
            mustLive(before);
        }
        if (cancel_at_period_end !== undefined && cancel_at)
          throw invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.");
        const now = ledger.now(before.customer as string);
        const cancels = cancel_at_period_end === true || typeof cancel_at === "number";
        const unset = cancel_at_period_end === false || cancel_at === null;
        ledger.change(
          "subscription",
          id,
          {
            ...(cancel_at_period_end !== undefined && {
              cancel_at_period_end,
              cancel_at: cancel_at_period_end ? (before.items.data[0]?.current_period_end ?? null) : null,
            }),
            ...(cancel_at !== undefined && { cancel_at }),
            ...(cancels && { canceled_at: now }),
            ...(unset && { canceled_at: null }),
            ...(default_payment_method && {
              default_payment_method: ledger.get("payment_method", default_payment_method, "default_payment_method").id,
            }),
            ...(pause_collection !== undefined && {
              pause_collection: pause_collection && {
                behavior: pause_collection.behavior,
                resumes_at: pause_collection.resumes_at ?? null,
              },
            }),
            ...(trial_end === "now" && { trial_end: now }),
            metadata: merged(before.metadata, data),
          },
          "customer.subscription.updated",
        );
        const price = items?.[0]?.price;
        if (price) account.changePrice(id, recurringPrice(ledger, price, "items[0][price]").id);
        account.catchUp();
        return ledger.get("subscription", id);
      },
    ),
    route(
      "DELETE /subscriptions/:id",
      z.strictObject({
        invoice_now: bool.optional(),
        prorate: bool.optional(),
        cancellation_details: cancellation,
        expand,
      }),
      (_, id) => {
        if (["canceled", "incomplete_expired"].includes(ledger.get("subscription", id).status))
          throw missing("subscription", id);
        return endSubscription(ledger, id, "cancellation_requested");
      },
    ),
    route("GET /subscription_items", z.strictObject({ subscription: z.string(), ...paging }), ({ subscription }) => {
      const { items } = ledger.get("subscription", subscription, "subscription");
      return { object: "list", data: items.data, has_more: false, url: "/v1/subscription_items" };
    }),
  ];
}

import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "./account";
import * as blank from "./blanks";
import { newId } from "./ids";
import { bool, expand, int, merged, metadata, paging, timeRange, within } from "./kinds";
import { collect, draftInvoice, finalizeInvoice, makeRefund, paymentProblem } from "./payments";
import { invalid, missing } from "./problem";
import { expireSession, wallSeconds } from "./renewals";
import type { Kind, Objects } from "./state";
import { DAY, endSubscription, mustLive, openSubscription, subscriptionOf } from "./subscriptions";

/** One call of the API. */
export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** Below `/v1`, ids written `:id`. */
  path: string;
  params: z.ZodType;
  answer(params: never, id: string): object;
}

function route<S extends z.ZodType>(
  call: `${Route["method"]} ${string}`,
  params: S,
  answer: (params: z.output<S>, id: string) => object,
): Route {
  const [method = "GET", path = ""] = call.split(" ");
  return { method: method as Route["method"], path, params, answer: answer as Route["answer"] };
}

const nothing = z.strictObject({ expand });
const cancellation = z.strictObject({ comment: z.string().optional(), feedback: z.string().optional() }).optional();

/** Every call that the double answers. Others are answered as Stripe answers an unknown URL. */
export function routes(account: StripeAccount): Route[] {
  const { ledger } = account;

  /** A page of what a filter leaves, newest first. */
  function list<K extends Kind>(
    kind: K,
    url: string,
    {
      limit = 10,
      starting_after,
      ending_before,
    }: { limit?: number | undefined; starting_after?: string | undefined; ending_before?: string | undefined },
    keep: (object: Objects[K]) => boolean = () => true,
  ): object {
    const all = ledger.all(kind).filter(keep).reverse();
    const place = (id: string, param: string) => {
      const at = all.findIndex((one) => one.id === id);
      if (at < 0) throw missing(kind.replace(/^.*\./, ""), id, param);
      return at;
    };
    const from = starting_after === undefined ? 0 : place(starting_after, "starting_after") + 1;
    const to = ending_before === undefined ? all.length : place(ending_before, "ending_before");
    const window = all.slice(from, to);
    const data = ending_before === undefined ? window.slice(0, limit) : window.slice(-limit);
    return { object: "list", data, has_more: window.length > data.length, url };
  }

  const liveCustomer = (id: string, param = "customer"): Stripe.Customer => {
    const customer = ledger.get("customer", id, param);
    if (customer.deleted) throw missing("customer", id, param);
    return customer;
  };
  const recurring = (id: string, param: string): Stripe.Price => {
    const price = ledger.get("price", id, param);
    if (!price.active) throw invalid("The price specified is inactive. This field only accepts active prices.", param);
    if (price.type !== "recurring")
      throw invalid(
        "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
        param,
      );
    return price;
  };

  return [
    // Customers
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
        const before = liveCustomer(id, "id");
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
      const before = liveCustomer(id, "id");
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
        list("customer", "/v1/customers", page, (one) => {
          if (one.deleted) return false;
          // Case counts, as at Stripe.
          return (
            (email === undefined || one.email === email) &&
            within(one.created, created) &&
            (test_clock === undefined || one.test_clock === test_clock)
          );
        }),
    ),

    // Products and prices
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
      list("product", "/v1/products", page, (one) => active === undefined || one.active === active),
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

    // Payment methods
    route("POST /payment_methods/:id/attach", z.strictObject({ customer: z.string(), expand }), ({ customer }, id) => {
      liveCustomer(customer);
      return account.attachCard(customer, testCard(id, "payment_method"));
    }),
    route("GET /payment_methods/:id", nothing, (_, id) => ledger.get("payment_method", id)),
    route(
      "GET /customers/:id/payment_methods",
      z.strictObject({ type: z.string().optional(), ...paging }),
      (page, id) => list("payment_method", `/v1/customers/${id}/payment_methods`, page, (one) => one.customer === id),
    ),
    route("GET /payment_intents/:id", nothing, (_, id) => ledger.get("payment_intent", id)),

    // Checkout
    route(
      "POST /checkout/sessions",
      z.strictObject({
        mode: z.enum(["subscription", "payment", "setup"]),
        line_items: z
          .array(z.strictObject({ price: z.string(), quantity: int.optional() }))
          .min(1)
          .max(20),
        success_url: z.string().regex(/^https?:\/\/.+/, "Not a valid URL"),
        cancel_url: z
          .string()
          .regex(/^https?:\/\/.+/, "Not a valid URL")
          .optional(),
        customer: z.string().optional(),
        customer_email: z.string().optional(),
        client_reference_id: z.string().max(200).optional(),
        expires_at: int.optional(),
        metadata: metadata.optional(),
        locale: z.string().optional(),
        allow_promotion_codes: bool.optional(),
        subscription_data: z
          .strictObject({
            metadata: metadata.optional(),
            trial_period_days: int.optional(),
            description: z.string().optional(),
          })
          .optional(),
        expand,
      }),
      (given) => {
        if (given.mode !== "subscription")
          throw invalid("The double sells subscriptions only: mode must be subscription.", "mode");
        if (given.customer && given.customer_email)
          throw invalid("You may only specify one of these parameters: customer, customer_email.");
        const customer = given.customer === undefined ? undefined : liveCustomer(given.customer);
        const now = wallSeconds();
        const items = given.line_items.map(({ price, quantity = 1 }, at) => ({
          price: recurring(price, `line_items[${at}][price]`),
          quantity,
        }));
        // Stripe counts from when the request has arrived.
        const expiresAt = given.expires_at ?? now + DAY;
        if (expiresAt < now + 30 * 60)
          throw invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            "expires_at",
          );
        if (expiresAt > now + DAY)
          throw invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            "expires_at",
          );
        const id = newId("cs_test", 58);
        ledger.state.purchases[id] = {
          items: items.map(({ price, quantity }) => ({ price: price.id, quantity })),
          metadata: given.subscription_data?.metadata ?? {},
          trialDays: given.subscription_data?.trial_period_days ?? 0,
        };
        return ledger.put(
          "checkout.session",
          blank.checkoutSession({
            id,
            created: now,
            customer: customer?.id ?? null,
            customer_email: given.customer_email ?? null,
            client_reference_id: given.client_reference_id ?? null,
            success_url: given.success_url,
            cancel_url: given.cancel_url ?? null,
            expires_at: expiresAt,
            metadata: given.metadata ?? {},
            currency: items[0]?.price.currency ?? "jpy",
            amount_total: items.reduce((sum, { price, quantity }) => sum + (price.unit_amount ?? 0) * quantity, 0),
            url: account.pageUrl(`/c/pay/${id}`),
            locale: (given.locale as Stripe.Checkout.Session.Locale | undefined) ?? null,
            allow_promotion_codes: given.allow_promotion_codes ?? null,
          }),
        );
      },
    ),
    route("GET /checkout/sessions/:id", nothing, (_, id) => ledger.get("checkout.session", id, "session")),
    route(
      "GET /checkout/sessions",
      z.strictObject({
        customer: z.string().optional(),
        status: z.enum(["open", "complete", "expired"]).optional(),
        subscription: z.string().optional(),
        created: timeRange.optional(),
        ...paging,
      }),
      ({ customer, status, subscription, created, ...page }) =>
        list(
          "checkout.session",
          "/v1/checkout/sessions",
          page,
          (one) =>
            (customer === undefined || one.customer === customer) &&
            (status === undefined || one.status === status) &&
            (subscription === undefined || one.subscription === subscription) &&
            within(one.created, created),
        ),
    ),
    route("POST /checkout/sessions/:id/expire", nothing, (_, id) => {
      const { status } = ledger.get("checkout.session", id, "session");
      if (status !== "open")
        throw invalid(
          `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of \`${status}\`.`,
        );
      return expireSession(ledger, id);
    }),
    route("GET /checkout/sessions/:id/line_items", z.strictObject(paging), (_, id) => {
      const data = account.purchase(ledger.get("checkout.session", id, "session").id).map(({ price, quantity }) => ({
        id: newId("li", 14),
        object: "item",
        amount_discount: 0,
        amount_subtotal: (price.unit_amount ?? 0) * quantity,
        amount_tax: 0,
        amount_total: (price.unit_amount ?? 0) * quantity,
        currency: price.currency,
        description: price.nickname,
        price,
        quantity,
      }));
      return { object: "list", data, has_more: false, url: `/v1/checkout/sessions/${id}/line_items` };
    }),

    // Customer portal
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
        liveCustomer(customer);
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

    // Subscriptions
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
        liveCustomer(customer);
        const now = ledger.now(customer);
        const priced = items.map(({ price, quantity = 1 }, at) => ({
          price: recurring(price, `items[${at}][price]`),
          quantity,
        }));
        const card =
          default_payment_method ?? (liveCustomer(customer).invoice_settings.default_payment_method as string | null);
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
        if (price) account.changePrice(id, recurring(price, "items[0][price]").id);
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

    // Invoices
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
    route("POST /invoices/:id/pay", z.strictObject({ payment_method: z.string().optional(), expand }), (_, id) => {
      const payment = collect(ledger, ledger.get("invoice", id).id);
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
          "invoice_payment",
          "/v1/invoice_payments",
          page,
          (one) =>
            (invoice === undefined || one.invoice === invoice) &&
            (status === undefined || one.status === status) &&
            (payment?.payment_intent === undefined || one.payment.payment_intent === payment.payment_intent),
        ),
    ),

    // Charges, refunds, disputes
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
    // Closing is giving in.
    route("POST /disputes/:id/close", nothing, (_, id) => account.closeDispute(ledger.get("dispute", id).id, "lost")),

    // Events
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

    // Webhook endpoints
    route(
      "POST /webhook_endpoints",
      z.strictObject({
        url: z.string(),
        enabled_events: z.array(z.string()).min(1),
        api_version: z.string().optional(),
        description: z.string().optional(),
        metadata: metadata.optional(),
        connect: bool.optional(),
        expand,
      }),
      ({ url, enabled_events, api_version, description, metadata: data = {} }) => {
        mustBeEndpoint(url, enabled_events);
        if (ledger.all("webhook_endpoint").length >= 16)
          throw invalid("You have reached the maximum of 16 test webhook endpoints.");
        const endpoint: Stripe.WebhookEndpoint = {
          id: newId("we"),
          object: "webhook_endpoint",
          api_version: api_version ?? null,
          application: null,
          created: account.now(),
          description: description ?? null,
          enabled_events,
          livemode: false,
          metadata: data,
          status: "enabled",
          url,
        };
        const secret = newId("whsec", 32);
        ledger.state.secrets[endpoint.id] = secret;
        ledger.put("webhook_endpoint", endpoint);
        // The only time that it is told.
        return { ...endpoint, secret };
      },
    ),
    route("GET /webhook_endpoints/:id", nothing, (_, id) => ledger.get("webhook_endpoint", id)),
    route("GET /webhook_endpoints", z.strictObject(paging), (page) =>
      list("webhook_endpoint", "/v1/webhook_endpoints", page),
    ),
    route(
      "POST /webhook_endpoints/:id",
      z.strictObject({
        url: z.string().optional(),
        enabled_events: z.array(z.string()).min(1).optional(),
        description: z.string().optional(),
        metadata: metadata.optional(),
        disabled: bool.optional(),
        expand,
      }),
      ({ url, enabled_events, description, metadata: data, disabled }, id) => {
        const before = ledger.get("webhook_endpoint", id);
        mustBeEndpoint(url ?? before.url, enabled_events ?? before.enabled_events);
        return ledger.put("webhook_endpoint", {
          ...before,
          url: url ?? before.url,
          enabled_events: enabled_events ?? before.enabled_events,
          description: description ?? before.description,
          metadata: merged(before.metadata, data),
          ...(disabled !== undefined && { status: disabled ? "disabled" : "enabled" }),
        });
      },
    ),
    route("DELETE /webhook_endpoints/:id", nothing, (_, id) => {
      ledger.get("webhook_endpoint", id);
      ledger.remove("webhook_endpoint", id);
      delete ledger.state.secrets[id];
      return { id, object: "webhook_endpoint", deleted: true };
    }),

    // Test clocks
    route(
      "POST /test_helpers/test_clocks",
      z.strictObject({ frozen_time: int, name: z.string().optional(), expand }),
      ({ frozen_time, name }) =>
        ledger.put(
          "test_helpers.test_clock",
          blank.testClock({ id: newId("clock"), created: account.now(), frozen_time, name: name ?? null }),
        ),
    ),
    route("GET /test_helpers/test_clocks/:id", nothing, (_, id) => account.testClock(id)),
    route("GET /test_helpers/test_clocks", z.strictObject(paging), (page) =>
      list("test_helpers.test_clock", "/v1/test_helpers/test_clocks", page),
    ),
    route(
      "POST /test_helpers/test_clocks/:id/advance",
      z.strictObject({ frozen_time: int, expand }),
      ({ frozen_time }, id) => account.advanceClock(id, frozen_time),
    ),
    route("DELETE /test_helpers/test_clocks/:id", nothing, (_, id) => {
      ledger.get("test_helpers.test_clock", id);
      ledger.remove("test_helpers.test_clock", id);
      return { id, object: "test_helpers.test_clock", deleted: true };
    }),
  ];
}

/** Stripe's test payment methods by their card's number (https://docs.stripe.com/testing). */
const testCards: Readonly<Record<string, string>> = {
  pm_card_visa: "4242424242424242",
  pm_card_mastercard: "5555555555554444",
  pm_card_chargeCustomerFail: "4000000000000341",
  pm_card_createDispute: "4000000000000259",
  pm_card_authenticationRequired: "4000002500003155",
};

function testCard(id: string, param: string): string {
  const number = testCards[id];
  if (number === undefined) throw missing("PaymentMethod", id, param);
  return number;
}

function mustBeEndpoint(url: string, events: string[]): void {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  const isLocal = ["localhost", "127.0.0.1"].includes(hostname);
  // Stripe refuses this machine; its double is of no use elsewhere.
  if (protocol !== "https:" && !(protocol === "http:" && isLocal))
    throw invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid");
  const unknown = events.find((event) => event !== "*" && !/^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(event));
  if (unknown) throw invalid(`Invalid enabled_events: ${unknown}`, "enabled_events[0]");
}

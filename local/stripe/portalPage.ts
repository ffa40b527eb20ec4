import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type Stripe from "stripe";
import type { StripeAccount } from "./account";
import { sessionUnavailable } from "./checkoutPage";
import { page } from "./pageLayout";
import { StripeProblem } from "./problem";
import { currentPeriodEnd } from "./subscriptions";
import { speech } from "./translations";

const running = ["active", "trialing", "past_due"];

/**
 * Serves the customer portal. `GET /<session>` shows the page. `POST /<session>/cancel|resume|change|card|pay` takes
 * the form fields `subscription`, `price` and `card_number`, and redirects back to the page.
 */
export function portalPage(account: StripeAccount): Hono {
  const app = new Hono();

  const actions: Record<string, (customer: string, form: Record<string, string>) => void> = {
    cancel: (customer, { subscription = "" }) => void account.cancelAtPeriodEnd(own(customer, subscription)),
    resume: (customer, { subscription = "" }) => void account.resume(own(customer, subscription)),
    change: (customer, { subscription = "", price = "" }) =>
      void account.changePrice(own(customer, subscription), price),
    card: (customer, { card_number = "" }) => void account.replaceCard(customer, card_number),
    pay: (customer) => void account.payOpenInvoices(customer),
  };

  /** Checks that the subscription belongs to the portal's customer. */
  function own(customer: string, subscription: string): string {
    const found = account.subscriptionsOf(customer).find(({ id }) => id === subscription);
    if (found) return found.id;
    throw new StripeProblem(404, "invalid_request_error", `No such subscription: '${subscription}'`);
  }

  app.get("/:id", (c) => {
    const session = account.portalSession(c.req.param("id"));
    return session ? show(c, session) : sessionUnavailable(c);
  });

  app.post("/:id/:action", async (c) => {
    const session = account.portalSession(c.req.param("id"));
    const act = actions[c.req.param("action")];
    if (!session || !act) return sessionUnavailable(c);
    try {
      act(session.customer, await c.req.parseBody<Record<string, string>>());
    } catch (error) {
      if (error instanceof StripeProblem) return show(c, session, error.message);
      throw error;
    }
    return c.redirect(session.flow?.after_completion.redirect?.return_url ?? `/p/session/${session.id}`, 303);
  });

  function show(c: Context, session: Stripe.BillingPortal.Session, problem?: string) {
    const spoken = speech(c);
    const { words, date, money, status } = spoken;
    const { customer } = session;
    const url = `/p/session/${session.id}`;
    const prices = account.prices();
    const card = account.cardOf(customer)?.card;
    const isOwing = account.invoicesOf(customer).some((invoice) => invoice.status === "open");

    const one = (subscription: Stripe.Subscription) => {
      const [item] = subscription.items.data;
      const name = item && account.product(String(item.price.product))?.name;
      const end = subscription.cancel_at ?? (subscription.cancel_at_period_end ? currentPeriodEnd(subscription) : null);
      const hidden = html`<input type="hidden" name="subscription" value="${subscription.id}">`;
      return html`
<h2>${name ?? words.plan} <span class="tag">${status(subscription.status)}</span></h2>
<p>${item ? money(item.price.unit_amount ?? 0, item.price.currency) : ""}${words.perMonth}<br>
<span class="note">${end ? words.endsOn : words.renewsOn}: ${date(end ?? currentPeriodEnd(subscription))}</span></p>
${
  running.includes(subscription.status)
    ? html`
<form method="post" action="${url}/${end ? "resume" : "cancel"}">${hidden}<button type="submit">${end ? words.resume : words.cancel}</button></form>
<form method="post" action="${url}/change">${hidden}
  <label for="price-${subscription.id}">${words.plan}</label>
  <select id="price-${subscription.id}" name="price">${prices.map(
    ({ id, nickname, unit_amount, currency, product }) =>
      html`<option value="${id}" ${id === item?.price.id ? "selected" : ""}>${
        account.product(String(product))?.name ?? nickname
      } ${money(unit_amount ?? 0, currency)}</option>`,
  )}</select>
  <button type="submit">${words.change}</button>
</form>`
    : ""
}`;
    };

    const change = session.flow?.subscription_update_confirm;
    if (change) return confirm(c, session, change, problem);
    const subscriptions = account.subscriptionsOf(customer);
    const body = html`
<h1>${words.portal}</h1>
${session.return_url ? html`<p><a href="${session.return_url}">← ${words.toShop}</a></p>` : ""}
${problem ? html`<p class="error" role="alert">${words.failed}</p>` : ""}
${subscriptions.length > 0 ? subscriptions.map(one) : html`<p>${words.none}</p>`}
<h2>${words.cardTitle}</h2>
${card ? html`<p>${card.brand.toUpperCase()} •••• ${card.last4}</p>` : ""}
<form method="post" action="${url}/card">
  <label for="card_number">${words.card}</label>
  <input id="card_number" name="card_number" inputmode="numeric" autocomplete="cc-number" required value="4242 4242 4242 4242">
  <button type="submit">${words.replaceCard}</button>
</form>
${isOwing ? html`<form method="post" action="${url}/pay"><button class="main" type="submit">${words.payOpen}</button></form>` : ""}
<h2>${words.invoices}</h2>
<table>${account
      .invoicesOf(customer)
      .map(
        (invoice) =>
          html`<tr><td>${date(invoice.created)}</td><td>${money(invoice.total, invoice.currency)}</td><td>${status(invoice.status ?? "")}</td></tr>`,
      )}</table>`;
    return page(c, spoken, words.portal, body, problem ? 402 : 200);
  }

  /** Page of a portal session that was opened for one plan change. Such a session has no other page. */
  function confirm(
    c: Context,
    session: Stripe.BillingPortal.Session,
    { subscription, items }: Stripe.BillingPortal.Session.Flow.SubscriptionUpdateConfirm,
    problem?: string,
  ) {
    const spoken = speech(c);
    const { words, money } = spoken;
    const price = account.price(items[0]?.price ?? "");
    const body = html`
<h1>${words.change}</h1>
${problem ? html`<p class="error" role="alert">${words.failed}</p>` : ""}
<p>${account.product(String(price?.product))?.name ?? words.plan} ${price ? money(price.unit_amount ?? 0, price.currency) : ""}${words.perMonth}</p>
<form method="post" action="/p/session/${session.id}/change">
  <input type="hidden" name="subscription" value="${subscription}"><input type="hidden" name="price" value="${price?.id ?? ""}">
  <button class="main" type="submit">${words.change}</button>
</form>
${session.return_url ? html`<p><a href="${session.return_url}">${words.back}</a></p>` : ""}`;
    return page(c, spoken, words.change, body, problem ? 402 : 200);
  }

  return app;
}

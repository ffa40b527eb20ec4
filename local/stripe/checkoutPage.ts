import { type Context, Hono } from "hono";
import { html } from "hono/html";
import type Stripe from "stripe";
import type { StripeAccount } from "./account";
import { page } from "./pageLayout";
import { type Speech, speech } from "./translations";

const USUAL = "4242 4242 4242 4242";

/** Test cards offered on the page, with their behaviour. */
const offered = [
  ["4242424242424242", "works"],
  ["4000000000000002", "declined"],
  ["4000000000009995", "noFunds"],
  ["4000002500003155", "authenticates"],
  ["4000000000000341", "failsLater"],
  ["4000000000000259", "disputes"],
] as const;

/**
 * Serves the Checkout page: `GET /<session>`, `POST /<session>` (`card_number`), `POST /<session>/authenticate`
 * (`card_number`, `result=success|fail`). After a payment, redirects to the session's success URL.
 *
 * @param answered resolves when the webhook has answered an event, or after Stripe's time limit
 */
export function checkoutPage(account: StripeAccount, answered: (eventId: string) => Promise<void>): Hono {
  const app = new Hono();

  app.get("/:id", (c) => {
    const session = account.checkoutSession(c.req.param("id"));
    return session ? show(c, session) : sessionUnavailable(c);
  });

  app.post("/:id", async (c) => {
    const { card_number: number = "" } = await c.req.parseBody<Record<string, string>>();
    return pay(c, c.req.param("id"), number);
  });

  app.post("/:id/authenticate", async (c) => {
    const { card_number: number = "", result = "" } = await c.req.parseBody<Record<string, string>>();
    return pay(c, c.req.param("id"), number, result === "success");
  });

  async function pay(c: Context, id: string, number: string, authenticated?: boolean) {
    const session = account.checkoutSession(id);
    if (session?.status !== "open") return session ? show(c, session) : sessionUnavailable(c);
    const paid = account.payCheckout(id, { number, ...(authenticated !== undefined && { authenticated }) });
    if (paid.outcome === "declined") return show(c, session, { number, ...paid });
    if (paid.outcome === "requires_action") return authenticate(c, id, number);
    await answered(paid.eventId);
    return c.redirect(paid.returnUrl, 303);
  }

  function show(
    c: Context,
    session: Stripe.Checkout.Session,
    failure?: { number: string; code: string; message: string },
  ) {
    const spoken = speech(c);
    const { words, money, decline } = spoken;
    if (session.status !== "open") return sessionUnavailable(c);
    const [item] = account.purchase(session.id);
    const name = item && account.product(String(item.price.product))?.name;
    const email = session.customer_email ?? account.customer(String(session.customer))?.email;
    const body = html`
<h1>${name ?? ""}</h1>
<p class="price">${money(session.amount_total ?? 0, session.currency ?? "jpy")}<small>${words.perMonth}</small></p>
${email ? html`<p class="note">${email}</p>` : ""}
${failure ? html`<p class="error" role="alert">${decline(failure.code, failure.message)}</p>` : ""}
<form method="post" action="/c/pay/${session.id}">
  <label for="card_number">${words.card}</label>
  <input id="card_number" name="card_number" inputmode="numeric" autocomplete="cc-number" required value="${failure?.number ?? USUAL}">
  <button class="main" type="submit">${words.pay}</button>
</form>
${session.cancel_url ? html`<p><a href="${session.cancel_url}">${words.back}</a></p>` : ""}
<details><summary>${words.testCards}</summary>
${offered.map(
  ([
    number,
    does,
  ]) => html`<form method="post" action="/c/pay/${session.id}"><input type="hidden" name="card_number" value="${number}">
<button type="submit">${words[does]} · ${number.slice(-4)}</button></form>`,
)}
</details>`;
    return page(c, spoken, "Checkout", body, failure ? 402 : 200);
  }

  function authenticate(c: Context, id: string, number: string) {
    const spoken = speech(c);
    const { words } = spoken;
    const button = (result: string, text: string, look: string) => html`
<form method="post" action="/c/pay/${id}/authenticate">
  <input type="hidden" name="card_number" value="${number}"><input type="hidden" name="result" value="${result}">
  <button class="${look}" type="submit">${text}</button>
</form>`;
    const body = html`<h1>${words.authenticateTitle}</h1><p>${words.authenticateText}</p>
${button("success", words.authenticate, "main")}${button("fail", words.failAuthentication, "")}`;
    return page(c, spoken, words.authenticateTitle, body);
  }

  return app;
}

/** Renders the page of a Checkout Session that is paid, expired or unknown. */
export function sessionUnavailable(c: Context) {
  const spoken: Speech = speech(c);
  return page(c, spoken, "Stripe", html`<h1>${spoken.words.gone}</h1>`, 404);
}

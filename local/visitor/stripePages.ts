/** Card number that always works (https://docs.stripe.com/testing). */
export const WORKING_CARD = "4242424242424242";

/**
 * Submits Checkout's form and follows no redirect.
 *
 * @returns whether Stripe accepted the card and redirected back
 * @throws Error when Checkout answers with neither a redirect nor the page for a declined card
 */
export async function payAtCheckout(checkoutUrl: string, cardNumber = WORKING_CARD): Promise<boolean> {
  const body = new URLSearchParams({ card_number: cardNumber });
  const { status, headers } = await fetch(checkoutUrl, { method: "POST", body, redirect: "manual" });
  const back = headers.get("location") ?? "";
  if (status === 402) return false;
  if (status !== 303 || !back.includes("checkout=success")) throw new Error(`Checkout answered ${status} ${back}`);
  return true;
}

/**
 * Presses the portal's button for an action, with the fields of its form. The portal's page must show only one
 * subscription.
 *
 * @returns false when the page has no such button. The button `change` works only on the page of one plan change,
 *   because other pages do not name the new plan
 * @throws Error when the portal refuses the action
 */
export async function pressInPortal(portalUrl: string, action: "cancel" | "resume" | "change"): Promise<boolean> {
  const html = await (await fetch(portalUrl)).text();
  const [, fields] = new RegExp(`<form method="post" action="[^"]*/${action}">([^]*?)</form>`).exec(html) ?? [];
  if (fields === undefined) return false;
  const inputs = [...fields.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
  const body = new URLSearchParams(inputs.map(([, name = "", value = ""]) => [name, value]));
  if (action === "change" && !body.has("price")) return false;
  const { status } = await fetch(`${portalUrl}/${action}`, { method: "POST", body, redirect: "manual" });
  if (status !== 303) throw new Error(`The portal answered ${status} to ${action}`);
  return true;
}

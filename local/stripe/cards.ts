import type Stripe from "stripe";

/** How a card behaves. */
interface CardBehaviour {
  brand: string;
  /** What a payment by its owner, present at Checkout, comes to. */
  first: "ok" | "authenticate" | { code: string; declineCode?: string; message: string };
  /** Whether later payments, without the owner, succeed. */
  later: boolean;
  /** Whether its owner disputes every payment. */
  disputes?: boolean;
}

/** Stripe's own test cards (https://docs.stripe.com/testing). */
const cards: Readonly<Record<string, CardBehaviour>> = {
  "4242424242424242": { brand: "visa", first: "ok", later: true },
  "5555555555554444": { brand: "mastercard", first: "ok", later: true },
  "4000000000000002": {
    brand: "visa",
    first: { code: "card_declined", declineCode: "generic_decline", message: "Your card was declined." },
    later: false,
  },
  "4000000000009995": {
    brand: "visa",
    first: { code: "card_declined", declineCode: "insufficient_funds", message: "Your card has insufficient funds." },
    later: false,
  },
  "4000000000000069": {
    brand: "visa",
    first: { code: "expired_card", message: "Your card has expired." },
    later: false,
  },
  "4000002500003155": { brand: "visa", first: "authenticate", later: true },
  "4000000000000341": { brand: "visa", first: "ok", later: false },
  "4000000000000259": { brand: "visa", first: "ok", later: true, disputes: true },
};

/** How the card of that number behaves; undefined for a number that is no test card. */
export function cardBehaviour(number: string): CardBehaviour | undefined {
  return cards[number.replaceAll(/\D/g, "")];
}

/** How the card of a payment method behaves: its number is in its metadata, under a name nobody else uses. */
export function behaviourOf(method: Stripe.PaymentMethod): CardBehaviour {
  const number = method.metadata?.[NUMBER] ?? "";
  return cards[number] ?? { brand: "visa", first: "ok", later: true };
}

/** Where a payment method of the double keeps its number. */
export const NUMBER = "double_card_number";

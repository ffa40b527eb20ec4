import type Stripe from "stripe";
import { missing } from "./problem";

/** Behaviour of a test card. */
export interface CardBehaviour {
  brand: string;
  /** Result of a payment with the cardholder present, as at Checkout. */
  first: "ok" | "authenticate" | { code: string; declineCode?: string; message: string };
  /**
   * Whether later payments without the cardholder succeed. With `authenticate` they fail until the cardholder is
   * present and authenticates.
   */
  later: boolean | "authenticate";
  /** Whether every payment is disputed. */
  disputes?: boolean;
}

/** Stripe's test cards (https://docs.stripe.com/testing). */
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
  "4000002760003184": { brand: "visa", first: "authenticate", later: "authenticate" },
  "4000000000000341": { brand: "visa", first: "ok", later: false },
  "4000000000000259": { brand: "visa", first: "ok", later: true, disputes: true },
};

/** Behaviour of a card number. Undefined for a number that is not one of Stripe's test cards. */
export function cardBehaviour(number: string): CardBehaviour | undefined {
  return cards[number.replaceAll(/\D/g, "")];
}

/** Behaviour of a payment method's card. The card number is stored in its metadata. */
export function behaviourOf(method: Stripe.PaymentMethod): CardBehaviour {
  const number = method.metadata?.[NUMBER] ?? "";
  return cards[number] ?? { brand: "visa", first: "ok", later: true };
}

/** Metadata key of the card number. */
export const NUMBER = "double_card_number";

/** Card numbers of Stripe's test payment methods (https://docs.stripe.com/testing). */
const testCards: Readonly<Record<string, string>> = {
  pm_card_visa: "4242424242424242",
  pm_card_mastercard: "5555555555554444",
  pm_card_chargeCustomerFail: "4000000000000341",
  pm_card_createDispute: "4000000000000259",
  pm_card_authenticationRequired: "4000002500003155",
};

/** Card number of a test payment method. */
export function testCard(id: string, param: string): string {
  const number = testCards[id];
  if (number === undefined) throw missing("PaymentMethod", id, param);
  return number;
}

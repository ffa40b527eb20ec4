import { missing } from "./problem";

/** Stripe's test payment methods by their card's number (https://docs.stripe.com/testing). */
const testCards: Readonly<Record<string, string>> = {
  pm_card_visa: "4242424242424242",
  pm_card_mastercard: "5555555555554444",
  pm_card_chargeCustomerFail: "4000000000000341",
  pm_card_createDispute: "4000000000000259",
  pm_card_authenticationRequired: "4000002500003155",
};

/** The number of the card that one of Stripe's test payment methods stands for. */
export function testCard(id: string, param: string): string {
  const number = testCards[id];
  if (number === undefined) throw missing("PaymentMethod", id, param);
  return number;
}

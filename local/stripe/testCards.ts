import { missing } from "./problem";

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

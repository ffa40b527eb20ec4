import Stripe from "stripe";
import { type Check, failed, ok, unknown, warning } from "../check";
import { type StripeAccess, stripeClient, stripeReason, tryStripeAgain } from "./client";

/** Answer to a read with the key. */
export type KeyAnswer = "accepted" | "refused" | { reason: string };

/**
 * Checks that Stripe accepts the key and that its mode fits the stack: live for a stack whose name starts with prod, test for
 * all others.
 */
export function judgeKey(apiKey: string, answer: KeyAnswer, stack: string): Check {
  const name = "Stripe key";
  const replace =
    "Make a restricted key in Stripe's dashboard (Developers, API keys), then: pulumi config set --secret stripeApiKey.";
  if (answer === "refused") return failed(name, "Stripe refuses it: nobody can buy a plan", replace);
  if (answer !== "accepted") return unknown(name, `Stripe did not accept a read: ${answer.reason}`, tryStripeAgain);
  const isLive = apiKey.includes("_live_");
  const isProduction = /^prod/.test(stack);
  if (isLive === isProduction) return ok(name, `works, in ${isLive ? "live" : "test"} mode`);
  return isLive
    ? warning(
        name,
        `is a live key, but ${stack} is no production stack: its purchases cost real money`,
        `Use a key of test mode. ${replace}`,
      )
    : warning(
        name,
        `is a test key, but ${stack} is a production stack: nobody really pays`,
        `Use a live key. ${replace}`,
      );
}

/** Reads one event, which the functions' key may do. */
export async function checkStripeKey(access: StripeAccess, stack: string): Promise<Check> {
  const answer = await stripeClient(access)
    .events.list({ limit: 1 })
    .then(
      (): KeyAnswer => "accepted",
      (error: unknown): KeyAnswer => {
        if (error instanceof Stripe.errors.StripeAuthenticationError) return "refused";
        return { reason: stripeReason(error) };
      },
    );
  return judgeKey(access.apiKey, answer, stack);
}

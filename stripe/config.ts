import * as z from "zod";
import { isSecureUrl } from "../dynamic/secureUrl";

/** The stack's configuration keys of the Stripe provider; all are optional. The key `stripeWebhookKey` is a secret. */
export const StripeConfig = z.object({
  stripeApiUrl: z
    .string()
    .refine(isBaseUrl, "must be an https URL without a path; http is allowed only on localhost")
    .default("https://api.stripe.com")
    .describe("Base URL of Stripe's API. Only the local cloud changes this URL."),
});

/** Form of an API key of Stripe. */
export const stripeKeyForm = {
  form: /^[rs]k_\w+$/,
  allowed: "a key of Stripe's API, rk_… or sk_…",
  example: "rk_live_placeholder",
};

/** Configuration keys of the Stripe provider with secret values. Maps each key to its description. */
export const stripeSecrets = {
  stripeWebhookKey:
    "Restricted Stripe key that may write webhook endpoints. With this key, the program registers the webhook endpoint.",
} as const;

function isBaseUrl(text: string): boolean {
  return isSecureUrl(text) && new URL(text).pathname === "/";
}

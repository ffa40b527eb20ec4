import type { dynamic } from "@pulumi/pulumi";
import Stripe from "stripe";
import { missingSecret, parseConfig } from "../dynamic/config";
import { StripeConfig } from "./config";

let current: Stripe | undefined;

/**
 * Reads the configuration keys of `StripeConfig` and the secret `stripeWebhookKey`, a restricted key that may write
 * webhook endpoints. Does not throw when the key is missing, because `WebhookSecrets` needs no key. Without the key,
 * only calls to Stripe fail. This function is synchronous, because Pulumi does not wait for a promise of `configure`
 * before it starts the next operation of the provider.
 *
 * @throws Error that names the bad key and the allowed values
 */
export function configure(request: dynamic.ConfigureRequest): void {
  const { config, problems } = parseConfig(StripeConfig, (key) => request.config.get(key));
  if (problems) throw new Error(problems.join("\n"));
  const key = request.config.get("stripeWebhookKey");
  if (!key) return;
  if (!/^[rs]k_\w+$/.test(key)) throw new Error("stripeWebhookKey: must be a key of Stripe's API, rk_… or sk_…");
  const { protocol, hostname, port } = new URL(config.stripeApiUrl);
  current = new Stripe(key, {
    apiVersion: Stripe.API_VERSION,
    timeout: 8_000,
    maxNetworkRetries: 2,
    telemetry: false,
    protocol: protocol === "http:" ? "http" : "https",
    host: hostname,
    ...(port && { port: Number(port) }),
  });
}

/**
 * Returns the Stripe client of this process.
 *
 * @throws Error when `configure` found no key
 */
export function connection(): Stripe {
  if (current === undefined) throw new Error(missingSecret("stripeWebhookKey"));
  return current;
}

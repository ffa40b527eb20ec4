import type { dynamic } from "@pulumi/pulumi";
import Stripe from "stripe";
import { ConfigurationError, missingSecret, parseConfig } from "../dynamic/config";
import { clientOptions } from "./clientOptions";
import { StripeConfig, stripeKeyForm } from "./config";

/**
 * The client, or the error of `configure`. After such an error, Pulumi still calls the other methods. These methods
 * must throw the same error.
 */
let current: Stripe | ConfigurationError | undefined;

/**
 * Reads the configuration keys of `StripeConfig` and the secret `stripeWebhookKey`, a restricted key that may write
 * webhook endpoints. Does not throw when the key is missing, because `WebhookSecrets` needs no key. Without the key,
 * only calls to Stripe fail. This function is synchronous: if `configure` returned a promise, Pulumi would not wait for
 * it before the provider's next operation.
 *
 * @throws ConfigurationError that names every bad key and the allowed values
 */
export function configure(request: dynamic.ConfigureRequest): void {
  const { config, problems = [] } = parseConfig(StripeConfig, (key) => request.config.get(key));
  const key = request.config.get("stripeWebhookKey");
  if (key && !stripeKeyForm.form.test(key)) problems.push(`stripeWebhookKey: must be ${stripeKeyForm.allowed}`);
  if (!config || problems.length > 0) {
    current = new ConfigurationError(problems);
    throw current;
  }
  if (!key) return;
  current = new Stripe(key, { ...clientOptions(config.stripeApiUrl), timeout: 8_000, maxNetworkRetries: 2 });
}

/**
 * Returns the Stripe client of this process.
 *
 * @throws ConfigurationError when `configure` has failed or found no key
 */
export function connection(): Stripe {
  if (current instanceof ConfigurationError) throw current;
  if (current === undefined) throw new ConfigurationError([missingSecret("stripeWebhookKey")]);
  return current;
}

/** Whether `configure` has succeeded but found no key. */
export function hasNoKey(): boolean {
  return current === undefined;
}

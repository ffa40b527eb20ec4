import type { dynamic } from "@pulumi/pulumi";
import Stripe from "stripe";
import { isSecureUrl } from "../dynamic/secureUrl";

let current: Stripe | undefined;

/**
 * Reads the stack's configuration: `stripeWebhookKey` (secret; a restricted key with write access to webhook endpoints) and
 * `stripeApiUrl` (default https://api.stripe.com).
 *
 * Synchronous on purpose: Pulumi hands the provider to a second operation before a promise of `configure` has settled.
 * A key that is not set is an error only where it is needed: webhook secrets are kept without it.
 *
 * @throws when a value is not what is allowed
 */
export function configure(request: dynamic.ConfigureRequest): void {
  const url = request.config.get("stripeApiUrl") ?? "https://api.stripe.com";
  if (!isSecureUrl(url) || new URL(url).pathname !== "/")
    throw new Error(`stripeApiUrl must be an https URL without a path (http only on localhost), got "${url}"`);
  const key = request.config.get("stripeWebhookKey");
  if (!key) return;
  if (!/^[rs]k_\w+$/.test(key)) throw new Error("stripeWebhookKey must be a key of Stripe's API, rk_… or sk_….");
  const { protocol, hostname, port } = new URL(url);
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
 * Stripe's client of this process.
 *
 * @throws when `configure` has found no key
 */
export function connection(): Stripe {
  if (current === undefined)
    throw new Error('stripeWebhookKey is not set: run "pulumi config set --secret stripeWebhookKey <key>".');
  return current;
}

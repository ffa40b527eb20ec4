import Stripe from "stripe";

/**
 * Options of every stripe-node client: the API version that the code was written for, and the server.
 *
 * @param apiUrl `https://api.stripe.com`, or the URL of the local double
 */
export function clientOptions(apiUrl: string) {
  const { protocol, hostname, port } = new URL(apiUrl);
  return {
    apiVersion: Stripe.API_VERSION,
    telemetry: false,
    protocol: protocol === "http:" ? "http" : "https",
    host: hostname,
    ...(port && { port: Number(port) }),
  } as const satisfies Stripe.StripeConfig;
}

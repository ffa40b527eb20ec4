import { webhookEvents } from "../../../stripe/events";
import { type Check, failed, ok, unknown } from "../check";
import { type StripeAccess, stripeClient, stripeReason, stripeTodo } from "./client";

/** Facts about one webhook endpoint of the account. */
export interface EndpointFacts {
  id: string;
  url: string;
  status: string;
  events: string[];
}

/**
 * Checks that Stripe sends its events to the stack.
 *
 * @param url URL of the stack's webhook
 */
export function judgeWebhookEndpoint(endpoints: EndpointFacts[], url: string, stack: string): Check {
  const name = "webhook endpoint";
  const own = endpoints.filter((endpoint) => endpoint.url === url);
  if (own.length === 0) {
    const todo = 'Run "pulumi up --refresh" with stripeWebhookKey, or register the URL in Stripe\'s dashboard.';
    return failed(name, `Stripe sends no events to ${url}: purchases have no effect until the reconciler runs`, todo);
  }
  // During a rotation of the secret there are two.
  const enabled = own.filter(({ status }) => status === "enabled");
  const [endpoint] = enabled;
  if (!endpoint) {
    const ids = own.map(({ id }) => id).join(", ");
    const todo =
      `Repair the cause (npm run admin -- --stack ${stack} events), then enable the endpoint in Stripe's dashboard ` +
      "(Developers, Webhooks).";
    return failed(name, `${ids} is disabled: Stripe disables an endpoint that fails for days`, todo);
  }
  const missing = webhookEvents.filter((type) => !endpoint.events.some((each) => each === type || each === "*"));
  if (missing.length > 0)
    return failed(name, `${endpoint.id} does not get ${missing.join(", ")}`, 'Run "pulumi up --refresh".');
  return ok(name, `${endpoint.id} is enabled and gets all ${webhookEvents.length} events`);
}

/** Lists the account's webhook endpoints. */
export async function checkWebhookEndpoint(access: StripeAccess, apiUrl: string, stack: string): Promise<Check> {
  try {
    const endpoints = await stripeClient(access)
      .webhookEndpoints.list({ limit: 100 })
      .autoPagingToArray({ limit: 1_000 });
    const facts = endpoints.map(({ id, url, status, enabled_events }) => ({ id, url, status, events: enabled_events }));
    return judgeWebhookEndpoint(facts, `${apiUrl}/webhook/stripe`, stack);
  } catch (error) {
    const permission =
      "Give stripeWebhookKey, or stripeApiKey, the permission to read webhook endpoints, or look at Stripe's dashboard.";
    return unknown(
      "webhook endpoint",
      `Stripe did not list the endpoints: ${stripeReason(error)}`,
      stripeTodo(error, permission),
    );
  }
}

import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import { list } from "../lookups";
import { bool, expand, merged, metadata, paging } from "../parameters";
import { invalid } from "../problem";
import { nothing, type Route, route } from "../route";

/** Webhook endpoints. */
export function webhookEndpointsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route(
      "POST /webhook_endpoints",
      z.strictObject({
        url: z.string(),
        enabled_events: z.array(z.string()).min(1),
        api_version: z.string().optional(),
        description: z.string().optional(),
        metadata: metadata.optional(),
        connect: bool.optional(),
        expand,
      }),
      ({ url, enabled_events, api_version, description, metadata: data = {} }) => {
        mustBeEndpoint(url, enabled_events);
        if (ledger.all("webhook_endpoint").length >= 16)
          throw invalid("You have reached the maximum of 16 test webhook endpoints.");
        const endpoint: Stripe.WebhookEndpoint = {
          id: newId("we"),
          object: "webhook_endpoint",
          api_version: api_version ?? null,
          application: null,
          created: account.now(),
          description: description ?? null,
          enabled_events,
          livemode: false,
          metadata: data,
          status: "enabled",
          url,
        };
        const secret = newId("whsec", 32);
        ledger.set("secrets", endpoint.id, secret);
        ledger.put("webhook_endpoint", endpoint);
        // Stripe returns the secret only in this answer.
        return { ...endpoint, secret };
      },
    ),
    route("GET /webhook_endpoints/:id", nothing, (_, id) => ledger.get("webhook_endpoint", id)),
    route("GET /webhook_endpoints", z.strictObject(paging), (page) =>
      list(ledger, "webhook_endpoint", "/v1/webhook_endpoints", page),
    ),
    route(
      "POST /webhook_endpoints/:id",
      z.strictObject({
        url: z.string().optional(),
        enabled_events: z.array(z.string()).min(1).optional(),
        description: z.string().optional(),
        metadata: metadata.optional(),
        disabled: bool.optional(),
        expand,
      }),
      ({ url, enabled_events, description, metadata: data, disabled }, id) => {
        const before = ledger.get("webhook_endpoint", id);
        mustBeEndpoint(url ?? before.url, enabled_events ?? before.enabled_events);
        return ledger.put("webhook_endpoint", {
          ...before,
          url: url ?? before.url,
          enabled_events: enabled_events ?? before.enabled_events,
          description: description ?? before.description,
          metadata: merged(before.metadata, data),
          ...(disabled !== undefined && { status: disabled ? "disabled" : "enabled" }),
        });
      },
    ),
    route("DELETE /webhook_endpoints/:id", nothing, (_, id) => {
      ledger.get("webhook_endpoint", id);
      ledger.remove("webhook_endpoint", id);
      ledger.set("secrets", id, undefined);
      return { id, object: "webhook_endpoint", deleted: true };
    }),
  ];
}

function mustBeEndpoint(url: string, events: string[]): void {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  const isLocal = ["localhost", "127.0.0.1"].includes(hostname);
  // Stripe rejects every http URL. The double accepts http URLs of this machine.
  if (protocol !== "https:" && !(protocol === "http:" && isLocal))
    throw invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid");
  const unknown = events.find((event) => event !== "*" && !/^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(event));
  if (unknown) throw invalid(`Invalid enabled_events: ${unknown}`, "enabled_events[0]");
}

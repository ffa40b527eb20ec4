import { byModel } from "./contract/plan";
import { AccountKeys } from "./infra/accountKeys";
import { HttpApi } from "./infra/api";
import { Auth } from "./infra/auth";
import { Billing } from "./infra/billing";
import { createCandidate } from "./infra/candidate";
import { loadConfig } from "./infra/config";
import { Data } from "./infra/data";
import { Identity } from "./infra/identity";
import { Inference } from "./infra/inference";
import { Operations } from "./infra/operations";
import { limitRoles } from "./infra/permissionsBoundary";
import { Registry } from "./infra/registry";
import { Relay } from "./infra/relay";
import { StripeWebhook } from "./infra/stripeWebhook";
import { Tickets } from "./infra/tickets";
import { WorkerImage } from "./infra/workerImage";

const config = loadConfig();
limitRoles(config.permissionsBoundary);

// Customers: Cognito signs them in, DynamoDB stores their rows.
const identity = new Identity("identity", { config });
const data = new Data("data", { config });

// Inference: each model has a worker image and a RunPod endpoint. Its workers accept only jobs with a valid ticket.
const tickets = new Tickets("tickets", { config });
const images = byModel((model) => new WorkerImage(model, { config }));
const keys = new AccountKeys("account-keys", { config });
const registry = new Registry("registry", { config, keys, images: Object.values(images) });
const endpoints = byModel((model) => new Inference(model, { config, tickets, registry, image: images[model] }));
// A retrained model answers some customers first, if the configuration has one.
byModel((model) =>
  createCandidate(model, { config, tickets, registry, image: images[model], released: endpoints[model] }),
);

// The relay streams every plan's chats: to the endpoints, and for the vip plan to external LLMs.
const relay = new Relay("relay", { config, data, tickets, keys, endpoints });

// The auth/billing API is separate from inference. It gives the frontend the customer's plan, route and ticket.
const auth = new Auth("auth", { config, identity, data, tickets, relay, endpoints });
const billing = new Billing("billing", { config, identity, data });
const api = new HttpApi("api", {
  config,
  identity,
  routes: [
    { key: "POST /auth/session", lambda: auth.session, auth: "id-token" },
    { key: "POST /auth/guest", lambda: auth.guest, auth: "none", throttle: config.throttle.guest },
    { key: "GET /billing/plan", lambda: billing.plan, auth: "id-token" },
    { key: "POST /billing/checkout", lambda: billing.checkout, auth: "id-token" },
    { key: "POST /billing/portal", lambda: billing.portal, auth: "id-token" },
    { key: "POST /billing/sync", lambda: billing.sync, auth: "id-token" },
    { key: "POST /webhook/stripe", lambda: billing.webhook, auth: "none", throttle: config.throttle.webhook },
  ],
});

// The operator sees and hears the system by metrics, alarms, a dashboard and log queries.
new Operations("operations", { config, api, auth, billing, relay, registry, endpoints, tickets, keys, data });

// Stripe sends its events to the API.
const stripeWebhook = new StripeWebhook("stripe-webhook", { config, apiUrl: api.url });

/** Base URL of the auth/billing API. */
export const apiUrl = api.url;
/** Settings that a frontend needs to sign customers in. */
export const signIn = {
  url: identity.domainUrl,
  clientId: identity.clientId,
  issuer: identity.issuer,
  scopes: identity.scopes,
};
/** URL for Stripe's events. Without `stripeWebhookKey` the operator registers this URL in Stripe's dashboard. */
export const webhookUrl = stripeWebhook.url;
/** Base URL of the relay. Each session contains the URL to use: the relay's, or that of the model's endpoint. */
export const relayUrl = relay.url;
/** URL of each model's endpoint. A frontend does not use this output: it gets the URL with each session. */
export const inference = byModel((model) => endpoints[model].url);

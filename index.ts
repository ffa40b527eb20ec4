import { HttpApi } from "./infra/api";
import { Auth } from "./infra/auth";
import { Billing } from "./infra/billing";
import { loadConfig } from "./infra/config";
import { Data } from "./infra/data";
import { Identity } from "./infra/identity";
import { WorkerImage } from "./infra/images";
import { Inference } from "./infra/inference";
import { Registry } from "./infra/registry";
import { StripeWebhook } from "./infra/stripeWebhook";
import { Tickets } from "./infra/tickets";

const config = loadConfig();

// Who the customers are, and what is remembered of them.
const identity = new Identity("identity", config);
const data = new Data("data", config);

// The workers' images, and what RunPod pulls them with.
const images = { phi3: new WorkerImage("phi3", config), mistral: new WorkerImage("mistral", config) };
const registry = new Registry("registry", { config, images: Object.values(images) });

// Inference: each model on its own RunPod endpoint, open to whoever holds a ticket for it.
const tickets = new Tickets("tickets", config);
const phi3 = new Inference("phi3", { config, tickets, registry, image: images.phi3 });
const mistral = new Inference("mistral", { config, tickets, registry, image: images.mistral });

// The auth/billing API: another domain, which tells the frontend its plan and where to chat.
const auth = new Auth("auth", { config, identity, data, tickets, inference: { phi3, mistral } });
const billing = new Billing("billing", { config, identity, data });
const api = new HttpApi("api", {
  ...config,
  identity,
  routes: [
    { key: "POST /auth/session", lambda: auth.session, auth: "id-token" },
    { key: "POST /auth/guest", lambda: auth.guest, auth: "none" },
    { key: "GET /billing/plan", lambda: billing.plan, auth: "id-token" },
    { key: "POST /billing/checkout", lambda: billing.checkout, auth: "id-token" },
    { key: "POST /billing/portal", lambda: billing.portal, auth: "id-token" },
    { key: "POST /billing/sync", lambda: billing.sync, auth: "id-token" },
    { key: "POST /webhook/stripe", lambda: billing.webhook, auth: "none" },
  ],
});

// Stripe tells us here when somebody has paid.
const stripeWebhook = new StripeWebhook("stripe-webhook", { config, apiUrl: api.url });

/** Base URL of the auth/billing API. */
export const apiUrl = api.url;
/** What a frontend needs to sign customers in. */
export const signIn = {
  url: identity.domainUrl,
  clientId: identity.clientId,
  issuer: identity.issuer,
  scopes: identity.scopes,
};
/** Where Stripe sends its events. With no key to register it with, register it by hand. */
export const webhookUrl = stripeWebhook.url;
/** Where each model answers. The session names the one to use. */
export const inference = { phi3: phi3.url, mistral: mistral.url };

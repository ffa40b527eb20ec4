import * as z from "zod/mini";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { CheckoutRequest, PlanResponse, PortalRequest, RedirectResponse, WebhookResponse } from "../plan";
import { SessionResponse } from "../session";
import { checkoutPage, guestSession, plan, planWithUsage, portalPage, session } from "./examples";
import { authorizer, errors, gateway, json, ok } from "./responses";

const always = ["unavailable", "internal"] as const;
const identity = ["unauthorized", "wrong_token", ...always] as const;
const signedIn = { security: [{ idToken: [] }] };

/** Body of a route without parameters. A request without a body is also valid. */
const emptyBody = { content: json(z.strictObject({}), { empty: {} }) };

/**
 * Stripe's event: https://docs.stripe.com/api/events. Only the signature decides whether the webhook accepts the event.
 */
const stripeEvent = {
  "application/json": {
    schema: { type: "object" as const },
    example: { id: "evt_1", object: "event", type: "customer.subscription.updated" },
  },
};

/** Auth and billing API. */
export const apiPaths: ZodOpenApiPathsObject = {
  "/auth/session": {
    post: {
      operationId: "openSession",
      tags: ["Auth"],
      summary: "The customer's plan, inference route and ticket",
      ...signedIn,
      requestBody: emptyBody,
      responses: {
        ...ok(authorizer, json(SessionResponse, { vip: session })),
        ...errors(authorizer, ["invalid_input", ...identity]),
      },
    },
  },
  "/auth/guest": {
    post: {
      operationId: "openGuestSession",
      tags: ["Auth"],
      summary: "A free session without sign-in",
      description:
        "The number of new guests per address and hour is limited. A request with the ticket of an earlier guest " +
        "session renews that guest's session.",
      security: [{}, { ticket: [] }],
      requestBody: emptyBody,
      responses: {
        ...ok(gateway, json(SessionResponse, { guest: guestSession })),
        ...errors(gateway, ["invalid_input", "rate_limited", ...always]),
      },
    },
  },
  "/billing/plan": {
    get: {
      operationId: "readPlan",
      tags: ["Billing"],
      summary: "The customer's plan and its reason",
      ...signedIn,
      responses: {
        ...ok(authorizer, json(PlanResponse, { subscriber: planWithUsage })),
        ...errors(authorizer, identity),
      },
    },
  },
  "/billing/checkout": {
    post: {
      operationId: "openCheckout",
      tags: ["Billing"],
      summary: "URL of a Stripe Checkout page for a plan",
      ...signedIn,
      requestBody: { required: true, content: json(CheckoutRequest, { paid: { plan: "paid" } }) },
      responses: {
        ...ok(authorizer, json(RedirectResponse, { page: checkoutPage })),
        ...errors(authorizer, ["invalid_input", "already_subscribed", "checkout_refused", "rate_limited", ...identity]),
      },
    },
  },
  "/billing/portal": {
    post: {
      operationId: "openPortal",
      tags: ["Billing"],
      summary: "URL of Stripe's customer portal: change or cancel the plan, update the card",
      ...signedIn,
      requestBody: { content: json(PortalRequest, { overview: {}, change: { plan: "vip" } }) },
      responses: {
        ...ok(authorizer, json(RedirectResponse, { page: portalPage })),
        ...errors(authorizer, ["invalid_input", "nothing_bought", "rate_limited", ...identity]),
      },
    },
  },
  "/billing/sync": {
    post: {
      operationId: "syncPlan",
      tags: ["Billing"],
      summary: "The customer's plan, read from Stripe now",
      ...signedIn,
      requestBody: emptyBody,
      responses: {
        ...ok(authorizer, json(PlanResponse, { subscriber: plan })),
        ...errors(authorizer, ["invalid_input", "rate_limited", ...identity]),
      },
    },
  },
  "/webhook/stripe": {
    post: {
      operationId: "receiveStripeEvent",
      tags: ["Billing"],
      summary: "Receives Stripe's events",
      security: [],
      parameters: [
        {
          name: "stripe-signature",
          in: "header",
          required: true,
          schema: { type: "string" },
          example: "t=1790000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
        },
      ],
      requestBody: { required: true, content: stripeEvent },
      responses: {
        ...ok(gateway, json(WebhookResponse, { synced: { received: true, outcome: "synced" } }), "Processed"),
        ...errors(gateway, ["signature_invalid", "too_long", "rate_limited", ...always]),
      },
    },
  },
};

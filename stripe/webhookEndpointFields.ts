import Stripe from "stripe";
import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { isSecureUrl } from "../dynamic/secureUrl";

const stack = mustBe("the project and stack, <project>/<stack>");
const address = mustBe("an https URL (http only on localhost)");
const event = mustBe('a type of event ("invoice.paid"), no wildcard');
const events = mustBe("a list with at least one type of event");
const text = mustBe("a text of 1 to 500 characters");
const version = mustBe(`a version of Stripe's API ("${Stripe.API_VERSION}")`);
const generation = mustBe("a whole number, at least 1");

/** The fields of a webhook endpoint, checked. */
export const webhookEndpointFields = {
  owner: z.string({ error: stack }).min(1, { error: stack }),
  url: z.string({ error: address }).refine(isSecureUrl, { error: address }),
  enabledEvents: z
    .array(z.string({ error: event }).regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/, { error: event }), {
      error: events,
    })
    .min(1, { error: events })
    .transform((types) => [...new Set(types)]),
  description: z.string({ error: text }).min(1, { error: text }).max(500, { error: text }),
  apiVersion: z
    .string({ error: version })
    .regex(/^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/, { error: version })
    .default(Stripe.API_VERSION),
  secretGeneration: z.int({ error: generation }).min(1, { error: generation }),
};

/** A webhook endpoint's inputs, trusted. */
export type WebhookEndpointInputs = Values<typeof webhookEndpointFields>;

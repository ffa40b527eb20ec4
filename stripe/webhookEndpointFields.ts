import Stripe from "stripe";
import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { isSecureUrl } from "../dynamic/secureUrl";

const ownerError = mustBe("the project and stack, <project>/<stack>");
const urlError = mustBe("an https URL (http only on localhost)");
const eventError = mustBe('a type of event ("invoice.paid"), no wildcard');
const eventsError = mustBe("a list with at least one type of event");
const descriptionError = mustBe("a text of 1 to 500 characters");
const versionError = mustBe(`a version of Stripe's API ("${Stripe.API_VERSION}")`);
const generationError = mustBe("a whole number, at least 1");

/** Schemas of a webhook endpoint's fields. */
export const webhookEndpointFields = {
  owner: z.string({ error: ownerError }).min(1, { error: ownerError }),
  url: z.string({ error: urlError }).refine(isSecureUrl, { error: urlError }),
  enabledEvents: z
    .array(z.string({ error: eventError }).regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/, { error: eventError }), {
      error: eventsError,
    })
    .min(1, { error: eventsError })
    .transform((types) => [...new Set(types)]),
  description: z
    .string({ error: descriptionError })
    .min(1, { error: descriptionError })
    .max(500, { error: descriptionError }),
  apiVersion: z
    .string({ error: versionError })
    .regex(/^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/, { error: versionError })
    .default(Stripe.API_VERSION),
  secretGeneration: z.int({ error: generationError }).min(1, { error: generationError }),
};

/** Validated inputs of a webhook endpoint. */
export type WebhookEndpointInputs = Values<typeof webhookEndpointFields>;

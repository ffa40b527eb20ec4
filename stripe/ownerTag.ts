import type { Endpoint } from "./endpoints";
import type { WebhookEndpointInputs } from "./webhookEndpointFields";

const APP = "snack-misaki";

/** What Stripe's metadata says of whose an endpoint is. */
export function mark({ owner, secretGeneration }: WebhookEndpointInputs): Record<string, string> {
  return { app: APP, stack: owner, generation: String(secretGeneration) };
}

/** The entry of the metadata that says that a create has ended well: its endpoint is, or was, in Pulumi's state. */
export const SETTLED = { settled: "true" };

/** Whether an endpoint was made for these inputs, whatever its URL and events. */
export function isMarked({ metadata, api_version }: Endpoint, inputs: WebhookEndpointInputs): boolean {
  const own = Object.entries(mark(inputs)).every(([key, value]) => metadata[key] === value);
  return own && api_version === inputs.apiVersion;
}

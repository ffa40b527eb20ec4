import type { Endpoint } from "./webhookEndpointApi";
import type { WebhookEndpointInputs } from "./webhookEndpointFields";

const APP = "snack-misaki";

/** Metadata of an endpoint that names its owner and generation. */
export function ownerTag({ owner, secretGeneration }: WebhookEndpointInputs): Record<string, string> {
  return { app: APP, stack: owner, generation: String(secretGeneration) };
}

/** Metadata of an endpoint whose creation has finished. Such an endpoint is or was in Pulumi's state. */
export const CREATE_FINISHED = { settled: "true" };

/** Whether an endpoint was created for these inputs. The URL and the events are not compared. */
export function hasOwnerTag({ metadata, api_version }: Endpoint, inputs: WebhookEndpointInputs): boolean {
  const isTagged = Object.entries(ownerTag(inputs)).every(([key, value]) => metadata[key] === value);
  return isTagged && api_version === inputs.apiVersion;
}

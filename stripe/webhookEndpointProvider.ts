import { createHash, randomUUID } from "node:crypto";
import type { dynamic } from "@pulumi/pulumi";
import type Stripe from "stripe";
import { asDeclared, checkFields, diffFields, type Properties } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import { hasNoKey } from "./connection";
import { StripeCallError } from "./error";
import { CREATE_FINISHED, hasOwnerTag, ownerTag } from "./ownerTag";
import {
  type CreatedEndpoint,
  createEndpoint,
  deleteEndpoint,
  type Endpoint,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from "./webhookEndpointApi";
import { type WebhookEndpointInputs, webhookEndpointFields } from "./webhookEndpointFields";

/** Provider methods of a webhook endpoint. Only a new version or generation replaces the endpoint. */
export const webhookEndpoint = {
  async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    return checkFields(webhookEndpointFields, news);
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    const { apiVersion, secretGeneration } = webhookEndpointFields;
    const replaces = Object.entries({ apiVersion, secretGeneration })
      .filter(([name, field]) => diffFields({ [name]: field }, olds, news).changes)
      .map(([name]) => name);
    const changes = olds.status === "disabled" || diffFields(webhookEndpointFields, olds, news).changes === true;
    // Until the webhook function has the new secret, it accepts only events from the old endpoint. So Pulumi must not
    // delete the old endpoint first.
    return { changes, replaces, deleteBeforeReplace: false };
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { id, secret, status } = await createWithinLimit(inputs);
    await deleteLeftovers(inputs, id);
    const outs = { ...inputs, secret, status };
    // This is the last step, because a repeated create does not adopt an endpoint that has this metadata.
    await recordAttempt(id, outs, properties, async () => {
      if ((await updateEndpoint(id, { metadata: CREATE_FINISHED })) === undefined) throw missing(id);
    });
    return { id, outs };
  },

  /** Without a key, returns the state unchanged, so that `pulumi refresh` also works after the key was removed. */
  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    if (hasNoKey()) return { id, props: declared };
    const endpoint = await getEndpoint(id);
    if (endpoint === undefined) return { id: "" };
    const inputs = asDeclared(declared, actualInputs(endpoint, checkedInputs(declared)));
    // Stripe returns the secret only once, so this method takes the secret from the state.
    return { id, props: { ...inputs, secret: declared.secret, status: endpoint.status }, inputs };
  },

  /** Changes the endpoint in place. Also marks the creation as finished if the last step of the creation has failed. */
  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = checkedInputs(news);
    const params = editableParams(inputs);
    const metadata = { ...params.metadata, ...CREATE_FINISHED };
    const attempted = { ...inputs, secret: olds.secret, status: olds.status };
    const updated = await recordAttempt(id, attempted, news, () =>
      updateEndpoint(id, { ...params, metadata, disabled: false }),
    );
    if (updated === undefined) throw missing(id);
    return { outs: { ...attempted, status: updated.status } };
  },

  /**
   * Without a key, keeps the endpoint at Stripe and warns the operator. An operator who has removed the key registers
   * the webhook by hand.
   */
  async delete(id: string): Promise<void> {
    if (hasNoKey()) {
      console.warn(
        `The webhook endpoint ${id} stays enabled at Stripe, because stripeWebhookKey is not set. Pulumi has forgotten its ` +
          "secret, so its events fail. Delete it in Stripe's dashboard (Developers, Webhooks).",
      );
      return;
    }
    await deleteEndpoint(id);
  },
};

/** Returns the inputs, which `check` has validated. */
function checkedInputs(properties: Properties): WebhookEndpointInputs {
  return checkFields(webhookEndpointFields, properties).inputs as WebhookEndpointInputs;
}

/** Parameters that Stripe can change in place. */
function editableParams(inputs: WebhookEndpointInputs) {
  const { url, description } = inputs;
  const enabled_events = [...inputs.enabledEvents].sort() as Stripe.WebhookEndpointCreateParams.EnabledEvent[];
  return { url, enabled_events, description, metadata: ownerTag(inputs) };
}

/**
 * Converts an endpoint to inputs. If the owner tag is missing, the owner is empty, so that an update writes the tag
 * again.
 */
function actualInputs(endpoint: Endpoint, declared: WebhookEndpointInputs): Properties {
  return {
    owner: hasOwnerTag(endpoint, declared) ? declared.owner : "",
    url: endpoint.url,
    enabledEvents: endpoint.enabled_events,
    description: endpoint.description ?? "",
    apiVersion: endpoint.api_version ?? "",
    secretGeneration: declared.secretGeneration,
  };
}

/**
 * Creates an endpoint. If the account has reached its maximum number of endpoints, first deletes leftovers of earlier
 * creates with the same tag, but no other endpoint.
 */
async function createWithinLimit(inputs: WebhookEndpointInputs): Promise<CreatedEndpoint> {
  try {
    return await createOrAdopt(inputs);
  } catch (error) {
    if (!(error instanceof StripeCallError && error.isLimitReached)) throw error;
    const { length } = await listEndpoints();
    if ((await deleteLeftovers(inputs)) > 0) return createOrAdopt(inputs);
    throw new Error(
      `This Stripe account has ${length} webhook endpoints in this mode (test or live), and Stripe allows no more. Delete an ` +
        'unused endpoint in Stripe\'s dashboard (Developers, Webhooks), then run "pulumi up" again.',
    );
  }
}

/**
 * Creates an endpoint, or adopts the endpoint of an earlier create whose response was lost. For a day, Stripe repeats
 * its first response to the same idempotency key. If this response cannot be used, creates a new endpoint with a random
 * key.
 */
async function createOrAdopt(inputs: WebhookEndpointInputs): Promise<CreatedEndpoint> {
  const created = (await tryCreate(inputs, "first")) ?? (await tryCreate(inputs, randomUUID()));
  if (created === undefined) throw new Error("Stripe cannot find the webhook endpoint that it has just created.");
  return created;
}

/**
 * @returns undefined when the repeated response cannot be used. Such a response is an error, or its endpoint is deleted
 * or already in Pulumi's state
 */
async function tryCreate(inputs: WebhookEndpointInputs, salt: string): Promise<CreatedEndpoint | undefined> {
  const api_version = inputs.apiVersion as Stripe.WebhookEndpointCreateParams.ApiVersion;
  const params = { ...editableParams(inputs), api_version };
  const key = createHash("sha256")
    .update(JSON.stringify([salt, params]))
    .digest("base64url");
  try {
    const created = await createEndpoint(params, `webhook-endpoint-${key}`);
    const found = await getEndpoint(created.id);
    return found && !("settled" in found.metadata) ? { ...found, secret: created.secret } : undefined;
  } catch (error) {
    if (error instanceof StripeCallError && error.isReplayed) return undefined;
    throw error;
  }
}

/**
 * Deletes endpoints that earlier creates with the same tag have left behind. Stripe allows several endpoints with one
 * URL, and signs the events of each endpoint with a different secret. The secrets of the leftovers are lost.
 *
 * @returns the number of deleted endpoints
 */
async function deleteLeftovers(inputs: WebhookEndpointInputs, keep?: string): Promise<number> {
  const leftovers = (await listEndpoints()).filter((each) => each.id !== keep && hasOwnerTag(each, inputs));
  for (const { id } of leftovers) await deleteEndpoint(id);
  return leftovers.length;
}

function missing(id: string): Error {
  return missingResource("Stripe webhook endpoint", id);
}

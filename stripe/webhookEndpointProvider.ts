import { createHash, randomUUID } from "node:crypto";
import type { dynamic } from "@pulumi/pulumi";
import type Stripe from "stripe";
import { asDeclared, checkFields, diffFields, type Properties } from "../dynamic/fields";
import { createEndpoint, deleteEndpoint, type Endpoint, getEndpoint, listEndpoints, updateEndpoint } from "./endpoints";
import { StripeCallError } from "./error";
import { isMarked, mark, SETTLED } from "./ownerTag";
import { type WebhookEndpointInputs, webhookEndpointFields } from "./webhookEndpointFields";

type Made = Endpoint & { secret: string };

/** What Pulumi calls for a webhook endpoint. Only another version or generation makes another one. */
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
    // The old one goes last: until the new secret is where the function finds it, only the old one's events are believed.
    return { changes, replaces, deleteBeforeReplace: false };
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = trusted(properties);
    const { id, secret, status } = await makeWithRoom(inputs);
    await deleteLeftovers(inputs, id);
    // Last, so that a create that has failed before takes its endpoint over.
    if ((await updateEndpoint(id, { metadata: SETTLED })) === undefined) throw gone(id);
    return { id, outs: { ...inputs, secret, status } };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const endpoint = await getEndpoint(id);
    if (endpoint === undefined) return { id: "" };
    const inputs = asDeclared(declared, actual(endpoint, trusted(declared)));
    // Stripe tells the secret only once.
    return { id, props: { ...inputs, secret: declared.secret, status: endpoint.status }, inputs };
  },

  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const updated = await updateEndpoint(id, { ...content(inputs), disabled: false });
    if (updated === undefined) throw gone(id);
    return { outs: { ...inputs, secret: olds.secret, status: updated.status } };
  },

  async delete(id: string): Promise<void> {
    await deleteEndpoint(id);
  },
};

/** Inputs that `check` has passed. */
function trusted(properties: Properties): WebhookEndpointInputs {
  return checkFields(webhookEndpointFields, properties).inputs as WebhookEndpointInputs;
}

/** What can be changed in place. */
function content(inputs: WebhookEndpointInputs) {
  const { url, description } = inputs;
  const enabled_events = [...inputs.enabledEvents].sort() as Stripe.WebhookEndpointCreateParams.EnabledEvent[];
  return { url, enabled_events, description, metadata: mark(inputs) };
}

/** An endpoint of Stripe as inputs. A lost mark shows as another owner: an update writes it again. */
function actual(endpoint: Endpoint, declared: WebhookEndpointInputs): Properties {
  return {
    owner: isMarked(endpoint, declared) ? declared.owner : "",
    url: endpoint.url,
    enabledEvents: endpoint.enabled_events,
    description: endpoint.description ?? "",
    apiVersion: endpoint.api_version ?? "",
    secretGeneration: declared.secretGeneration,
  };
}

/** Makes an endpoint; where Stripe has no room for it, earlier creates' leftovers go first, nothing else. */
async function makeWithRoom(inputs: WebhookEndpointInputs): Promise<Made> {
  try {
    return await make(inputs);
  } catch (error) {
    if (!(error instanceof StripeCallError && error.means.full)) throw error;
    const { length } = await listEndpoints();
    if ((await deleteLeftovers(inputs)) > 0) return make(inputs);
    throw new Error(
      `Stripe has ${length} webhook endpoints in this account and mode and allows no more. Delete one that nobody needs in ` +
        'its dashboard (Developers, Webhooks), then run "pulumi up" again.',
    );
  }
}

/**
 * Makes an endpoint, or takes over the one that an earlier create has made whose answer was lost: to the same key Stripe
 * gives the same answer for a day. Where that answer is of no use any more, a new key makes a new endpoint.
 */
async function make(inputs: WebhookEndpointInputs): Promise<Made> {
  const made = (await tryMake(inputs, "first")) ?? (await tryMake(inputs, randomUUID()));
  if (made === undefined) throw new Error("Stripe does not know the webhook endpoint that it has just made.");
  return made;
}

/** @returns undefined when Stripe only repeats a failure, or tells of an endpoint that is deleted or in a state already */
async function tryMake(inputs: WebhookEndpointInputs, salt: string): Promise<Made | undefined> {
  const api_version = inputs.apiVersion as Stripe.WebhookEndpointCreateParams.ApiVersion;
  const params = { ...content(inputs), api_version };
  const key = createHash("sha256")
    .update(JSON.stringify([salt, params]))
    .digest("base64url");
  try {
    const made = await createEndpoint(params, `webhook-endpoint-${key}`);
    const found = await getEndpoint(made.id);
    return found && !("settled" in found.metadata) ? { ...found, secret: made.secret } : undefined;
  } catch (error) {
    if (error instanceof StripeCallError && error.means.replayed) return undefined;
    throw error;
  }
}

/**
 * Deletes what creates of this very endpoint have left behind; Stripe allows any number with one URL, and signs for each
 * with a secret that nobody knows any more.
 *
 * @returns how many those were
 */
async function deleteLeftovers(inputs: WebhookEndpointInputs, keep?: string): Promise<number> {
  const leftovers = (await listEndpoints()).filter((each) => each.id !== keep && isMarked(each, inputs));
  for (const { id } of leftovers) await deleteEndpoint(id);
  return leftovers.length;
}

function gone(id: string): Error {
  return new Error(
    `Webhook endpoint ${id} is gone from Stripe. Run "pulumi refresh", then "pulumi up" makes it again.`,
  );
}

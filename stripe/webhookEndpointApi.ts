import type Stripe from "stripe";
import { z } from "zod";
import { connection } from "./connection";
import { callStripe, StripeCallError } from "./error";

const Endpoint = z.object({
  object: z.literal("webhook_endpoint"),
  id: z.string().min(1),
  url: z.string(),
  enabled_events: z.array(z.string()),
  description: z.string().nullable(),
  api_version: z.string().nullable(),
  status: z.string(),
  metadata: z.record(z.string(), z.string()),
  secret: z.string().optional(),
});

/** A webhook endpoint as Stripe returns it. */
export type Endpoint = z.infer<typeof Endpoint>;

/** An endpoint with its signing secret, which Stripe returns only once. */
export type CreatedEndpoint = Endpoint & { secret: string };

/**
 * Creates an endpoint.
 *
 * @param idempotencyKey when the key was used before, Stripe repeats its first response. The endpoint in this response
 * may have been deleted
 * @throws StripeCallError
 */
export async function createEndpoint(
  params: Stripe.WebhookEndpointCreateParams,
  idempotencyKey: string,
): Promise<CreatedEndpoint> {
  const call = connection().webhookEndpoints.create(params, { idempotencyKey });
  const endpoint = parseEndpoint(await callStripe("create the webhook endpoint", call));
  const { secret } = endpoint;
  if (!secret) throw new StripeCallError(`Stripe created the webhook endpoint ${endpoint.id} but returned no secret.`);
  return { ...endpoint, secret };
}

/**
 * Reads an endpoint.
 *
 * @returns undefined when the endpoint does not exist
 * @throws StripeCallError
 */
export async function getEndpoint(id: string): Promise<Endpoint | undefined> {
  return undefinedIfMissing(callStripe(`read the webhook endpoint ${id}`, connection().webhookEndpoints.retrieve(id)));
}

/**
 * Changes the given fields of an endpoint.
 *
 * @returns undefined when the endpoint does not exist
 * @throws StripeCallError
 */
export async function updateEndpoint(
  id: string,
  params: Stripe.WebhookEndpointUpdateParams,
): Promise<Endpoint | undefined> {
  const call = connection().webhookEndpoints.update(id, params);
  return undefinedIfMissing(callStripe(`change the webhook endpoint ${id}`, call));
}

/**
 * Deletes an endpoint. Does nothing when the endpoint does not exist.
 *
 * @throws StripeCallError
 */
export async function deleteEndpoint(id: string): Promise<void> {
  try {
    const { deleted } = await callStripe(`delete the webhook endpoint ${id}`, connection().webhookEndpoints.del(id));
    if (deleted !== true) throw unexpectedResponse();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/**
 * Lists every endpoint of the account, in the key's mode (test or live).
 *
 * @throws StripeCallError
 */
export async function listEndpoints(): Promise<Endpoint[]> {
  const list = connection().webhookEndpoints.list({ limit: 100 });
  // stripe-node's paging would accept any JSON body as an empty list.
  const { object } = await callStripe("list the webhook endpoints", list);
  if (object !== "list") throw unexpectedResponse();
  const endpoints = await callStripe("list the webhook endpoints", list.autoPagingToArray({ limit: 1_000 }));
  return endpoints.map(parseEndpoint);
}

/** Validates a response, because stripe-node accepts any JSON body without an `error`, even the body of a proxy. */
function parseEndpoint(response: unknown): Endpoint {
  const { data } = Endpoint.safeParse(response);
  if (data === undefined) throw unexpectedResponse();
  return data;
}

function unexpectedResponse(): StripeCallError {
  return new StripeCallError(
    "Unexpected response from stripeApiUrl: not a webhook_endpoint. Check that this URL is Stripe's API.",
  );
}

async function undefinedIfMissing(response: Promise<unknown>): Promise<Endpoint | undefined> {
  try {
    return parseEndpoint(await response);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof StripeCallError && error.isMissing;
}

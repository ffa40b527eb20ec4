import type Stripe from "stripe";
import { z } from "zod";
import { connection } from "./connection";
import { asking, StripeCallError } from "./error";

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

/** A webhook endpoint as Stripe has it. */
export type Endpoint = z.infer<typeof Endpoint>;

/**
 * Makes an endpoint.
 *
 * @returns as it was made, the only time with its secret; a repeated answer may tell of one that is gone
 * @throws StripeCallError
 */
export async function createEndpoint(
  params: Stripe.WebhookEndpointCreateParams,
  idempotencyKey: string,
): Promise<Endpoint & { secret: string }> {
  const answer = connection().webhookEndpoints.create(params, { idempotencyKey });
  const endpoint = parsed(await asking("make the webhook endpoint", answer));
  const { secret } = endpoint;
  if (!secret) throw new StripeCallError(`Stripe made the webhook endpoint ${endpoint.id} without telling its secret.`);
  return { ...endpoint, secret };
}

/**
 * @returns undefined when there is none with that id
 * @throws StripeCallError
 */
export async function getEndpoint(id: string): Promise<Endpoint | undefined> {
  return unlessMissing(asking(`show the webhook endpoint ${id}`, connection().webhookEndpoints.retrieve(id)));
}

/**
 * Changes what is given and leaves the rest.
 *
 * @returns undefined when there is none with that id
 * @throws StripeCallError
 */
export async function updateEndpoint(
  id: string,
  params: Stripe.WebhookEndpointUpdateParams,
): Promise<Endpoint | undefined> {
  return unlessMissing(asking(`change the webhook endpoint ${id}`, connection().webhookEndpoints.update(id, params)));
}

/**
 * Does nothing when the endpoint is gone.
 *
 * @throws StripeCallError
 */
export async function deleteEndpoint(id: string): Promise<void> {
  try {
    const { deleted } = await asking(`delete the webhook endpoint ${id}`, connection().webhookEndpoints.del(id));
    if (deleted !== true) throw notStripe();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/**
 * Every endpoint of the account, in the mode of the key.
 *
 * @throws StripeCallError
 */
export async function listEndpoints(): Promise<Endpoint[]> {
  const list = connection().webhookEndpoints.list({ limit: 100 });
  // Paging would take any body for an empty list.
  const { object } = await asking("list the webhook endpoints", list);
  if (object !== "list") throw notStripe();
  return (await asking("list the webhook endpoints", list.autoPagingToArray({ limit: 1_000 }))).map(parsed);
}

/** The client takes every JSON body without an `error` for an answer, that of a proxy too. */
function parsed(answer: unknown): Endpoint {
  const { data } = Endpoint.safeParse(answer);
  if (data === undefined) throw notStripe();
  return data;
}

function notStripe(): StripeCallError {
  return new StripeCallError("What answers at stripeApiUrl is not Stripe: that was no webhook endpoint.");
}

async function unlessMissing(answer: Promise<unknown>): Promise<Endpoint | undefined> {
  try {
    return parsed(await answer);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof StripeCallError && error.means.missing === true;
}

import Stripe from "stripe";
import { ApiError, RateLimited } from "../contract/errors";
import type { WebhookResponse } from "../contract/plan";
import { eventLimits } from "./core/eventLimits";
import { raiseAlarm } from "./lib/alarms";
import { causesText } from "./lib/causes";
import { type Handler, jsonHandler, type Request } from "./lib/http";
import { putMetrics } from "./lib/metrics";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { isSigned, matters, namedCustomer, parseEvent, type StripeEvent } from "./stripe/event";
import { handleEvent } from "./stripe/handleEvent";
import { createWebhookSecrets } from "./stripe/readWebhookSecrets";
import { createEventLog } from "./tables/eventLog";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /webhook/stripe`. */
export type Settings = BillingSettings & { ephemeralTable: string; webhookSecretParameter: string };

/** Far larger than any event of Stripe. The size is checked before the signature is computed. */
const MAX_BODY_BYTES = 256 * 1024;

/**
 * `POST /webhook/stripe`: answers 200 only after the customer's row is written. Checkout waits for this answer before
 * it redirects, so a returning customer already has the paid plan. Answers 400 without a valid Stripe signature.
 * Answers 429 or 5xx when the event was not processed. Stripe then sends the event again.
 */
export function create(settings: Settings): Handler {
  const secrets = createWebhookSecrets(settings.webhookSecretParameter);
  const billing = createBilling(settings);
  const log = createEventLog(settings.ephemeralTable);
  const count = createRateLimiter(settings.ephemeralTable);
  const owner = settings.stripeOwner;

  /** Verifies the signature and parses the event. */
  async function receive(request: Request): Promise<StripeEvent> {
    const body = bodyOf(request);
    const signature = request.headers["stripe-signature"];
    if (!signature) throw new ApiError("signature_invalid");
    const now = new Date();
    const isOurs =
      isSigned(body, signature, await secrets(), now) || isSigned(body, signature, await secrets({ fresh: true }), now);
    const event = isOurs ? parseEvent(parseJson(body)) : undefined;
    if (!event) throw new ApiError("signature_invalid");
    return event;
  }

  /**
   * Returns the client for an event. A test key accepts only test events, and a live key only live events, even if the
   * signature is valid. If the modes differ, the key is read again, because it may have been replaced.
   */
  async function clientFor({ livemode }: StripeEvent): Promise<Stripe> {
    const known = await billing.connection();
    const { client, ...key } = known.livemode === livemode ? known : await billing.connection({ fresh: true });
    if (key.livemode !== livemode) throw new ApiError("signature_invalid");
    return client;
  }

  /** Receives an event and returns the client for it. An event of a connected account needs no client. */
  async function accept(request: Request): Promise<{ event: StripeEvent; stripe: Stripe | undefined }> {
    const event = await receive(request);
    // Endpoints for connected accounts get test and live events, so this check comes before the check of the mode.
    return { event, stripe: event.account === undefined ? await clientFor(event) : undefined };
  }

  /**
   * Counts an event. Throws RateLimited above a limit. If the table does not answer, the event is still handled,
   * because its signature is valid.
   */
  async function limit({ id, subject }: StripeEvent): Promise<void> {
    const now = new Date();
    const customer = namedCustomer(subject);
    try {
      await count(`webhook-event#${id}`, eventLimits.perEvent, now);
      if (customer) await count(`webhook-customer#${customer}`, eventLimits.perCustomer, now);
    } catch (error) {
      if (error instanceof RateLimited) throw error;
      raiseAlarm("event_not_counted", { event: id, cause: causesText(error) });
    }
  }

  return jsonHandler(async (request): Promise<WebhookResponse> => {
    const { event, stripe } = await accept(request).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === "signature_invalid") putMetrics({ WebhookSignatureFailures: 1 });
      throw error;
    });
    if (!stripe) return { received: true, outcome: "ignored" };
    warnOfOtherApiVersion(event);
    const outcome = matters(event) ? await handle(event, stripe) : "ignored";
    putMetrics({ WebhookLagSeconds: Math.max(0, Date.now() / 1000 - event.created) });
    console.log({ event: event.id, type: event.type, created: event.created, outcome });
    return { received: true, outcome };
  });

  async function handle(event: StripeEvent, stripe: Stripe): Promise<"synced" | "foreign"> {
    await limit(event);
    return handleEvent(event, { billing, stripe, owner, log });
  }
}

/**
 * Endpoints registered by hand or by an older program have another API version. The fields that we read are the same.
 */
function warnOfOtherApiVersion({ id, apiVersion }: StripeEvent): void {
  if (apiVersion && apiVersion !== Stripe.API_VERSION) console.warn({ event: id, api_version: apiVersion });
}

function bodyOf({ body = "", isBase64Encoded }: Request): string {
  const text = isBase64Encoded ? Buffer.from(body, "base64").toString("utf8") : body;
  if (Buffer.byteLength(text) > MAX_BODY_BYTES) throw new ApiError("too_long", "The body is too long.");
  return text;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

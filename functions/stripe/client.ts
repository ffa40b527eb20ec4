import { createHash } from "node:crypto";
import Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { createParameters } from "../lib/parameters";

/** Connection settings: names and URLs, never a secret. */
export interface StripeSettings {
  stripeApiUrl: string;
  /** SSM parameter with the functions' restricted key; undefined when the stack sells nothing. */
  stripeKeyParameter?: string;
  /**
   * `snack-misaki/<stack>`, stored in every customer's metadata, because several stacks can share one Stripe account.
   */
  stripeOwner: string;
}

/** A client, and whether its key is a live or a test key. */
export interface StripeConnection {
  client: Stripe;
  livemode: boolean;
}

/**
 * Two attempts of five seconds, with the wait between them, end well within the 30 s that API Gateway and Stripe allow.
 */
const limits = { timeout: 5_000, maxNetworkRetries: 1 } as const;

/**
 * Creates stripe-node clients with the key from Parameter Store.
 *
 * @returns a function that returns the connection. It throws ApiError `unavailable` when no key is configured
 */
export function createStripe({ stripeApiUrl, stripeKeyParameter }: StripeSettings): () => Promise<StripeConnection> {
  const parameter = createParameters();
  const { protocol, hostname, port } = new URL(stripeApiUrl);
  let current: (StripeConnection & { key: string }) | undefined;
  return async () => {
    if (!stripeKeyParameter) throw new ApiError("unavailable", undefined, { cause: "no stripeApiKey is configured" });
    const key = await parameter(stripeKeyParameter);
    if (current?.key !== key) {
      const client = new Stripe(key, {
        ...limits,
        apiVersion: Stripe.API_VERSION,
        telemetry: false,
        protocol: protocol === "http:" ? "http" : "https",
        host: hostname,
        ...(port && { port: Number(port) }),
      });
      current = { client, key, livemode: /^[rs]k_live_/.test(key) };
    }
    return current;
  };
}

/**
 * Total time for a call: both attempts and the wait between them. stripe-node's own timeout restarts with every
 * received byte, so a slow trickle would never end.
 */
const CALL_TIMEOUT_MS = 12_000;

/**
 * Awaits a Stripe call and checks the type of the returned object. stripe-node accepts any JSON body without an `error`
 * field as an answer.
 *
 * @param object expected `object` value: `customer`, `list`, `checkout.session`
 * @throws ApiError `unavailable` instead of any error of the call
 */
export async function fromStripe<T extends { object: string }>(object: T["object"], call: Promise<T>): Promise<T> {
  const answer = await withTimeout(call);
  const isWhole = object === "list" || (answer as { id?: unknown } | null)?.id;
  if (answer?.object === object && isWhole) return answer;
  throw new ApiError("unavailable", undefined, { cause: `Expected Stripe ${object}, got ${answer?.object}` });
}

/** Reads up to `most` items of a list. Throws ApiError `unavailable`. */
export async function allFromStripe<T extends { id: string }>(
  list: Stripe.ApiListPromise<T>,
  most: number,
): Promise<T[]> {
  await fromStripe("list", list);
  return withTimeout(list.autoPagingToArray({ limit: most }));
}

async function withTimeout<T>(call: Promise<T>): Promise<T> {
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  const onTimeout = () => reject(new ApiError("unavailable", undefined, { cause: "Stripe did not answer in time" }));
  const timer = setTimeout(onTimeout, CALL_TIMEOUT_MS);
  try {
    return await Promise.race([call, timedOut]);
  } catch (error) {
    throw stripeFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether Stripe failed with a 5xx. Stripe replays that answer for the same Idempotency-Key. */
export function isServerError(error: unknown): boolean {
  const status = error instanceof ApiError && error.cause instanceof StripeFailure ? error.cause.statusCode : undefined;
  return status !== undefined && status >= 500;
}

/** A Stripe error reduced to type, code, status and request id. Its text may quote the request, so it is dropped. */
class StripeFailure extends Error {
  override readonly name = "StripeFailure";
  readonly statusCode: number | undefined;

  constructor(error: unknown) {
    const known = error instanceof Stripe.errors.StripeError ? error : undefined;
    const facts = known ? [known.type, known.code, known.statusCode, known.requestId] : [errorName(error)];
    super(facts.filter(Boolean).join(" "));
    this.statusCode = known?.statusCode;
  }
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** Converts a failed Stripe call to ApiError `unavailable`. */
export function stripeFailure(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError("unavailable", undefined, { cause: new StripeFailure(error) });
}

/**
 * Builds an Idempotency-Key: equal for the same purpose and parameters, different otherwise. Stripe rejects a key that
 * is reused with other parameters for a day.
 *
 * @param purpose identifies the thing that must happen only once
 */
export function idempotencyKey(purpose: string[], params: object): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([purpose, params]))
    .digest("base64url");
  return `${purpose[0]}-${hash}`;
}

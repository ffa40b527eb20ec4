import { createHash } from "node:crypto";
import Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { clientOptions } from "../../stripe/clientOptions";
import { createParameters, RECHECK_MS } from "../lib/parameters";

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
 * Creates stripe-node clients with the key from Parameter Store. When Stripe rejects the key, the parameter is read
 * again and the call is repeated with the new key.
 *
 * @returns a function that returns the connection. `fresh` reads the key again, at most every two seconds. It throws
 * ApiError `unavailable` when no key is configured
 */
export function createStripe({
  stripeApiUrl,
  stripeKeyParameter,
}: StripeSettings): (options?: { fresh: boolean }) => Promise<StripeConnection> {
  const parameter = createParameters();
  let current: (StripeConnection & { key: string }) | undefined;
  return async (options) => {
    if (!stripeKeyParameter) throw new ApiError("unavailable", undefined, { cause: "the stack has no stripeApiKey" });
    const key = await parameter(stripeKeyParameter, options?.fresh ? RECHECK_MS : undefined);
    if (current?.key !== key) {
      const client = new Stripe(key, {
        ...clientOptions(stripeApiUrl),
        ...limits,
        httpClient: retryWithNewKey(() => parameter(stripeKeyParameter, RECHECK_MS)),
      });
      current = { client, key, livemode: /^[rs]k_live_/.test(key) };
    }
    return current;
  };
}

/**
 * An HTTP client that reads the key again and repeats the request once when Stripe answers 401. A 401 means that Stripe
 * has not executed the request.
 *
 * @param readKey reads the key again, at most every few seconds
 */
function retryWithNewKey(readKey: () => Promise<string>): NonNullable<Stripe.StripeConfig["httpClient"]> {
  const http = Stripe.createNodeHttpClient();
  return {
    getClientName: () => http.getClientName(),
    async makeRequest(host, port, path, method, headers, ...rest) {
      const response = await http.makeRequest(host, port, path, method, headers, ...rest);
      if (response.getStatusCode() !== 401) return response;
      const authorization = `Bearer ${await readKey()}`;
      if (headers.Authorization === authorization) return response;
      response.dispose?.();
      return http.makeRequest(host, port, path, method, { ...headers, Authorization: authorization }, ...rest);
    },
  };
}

/**
 * Time limit of a call, including both attempts and the wait between them. stripe-node's timeout restarts with every
 * received byte, so a very slow response would never time out.
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

/**
 * Maximum number of items of a list, so that a function ends in time. A customer with monthly payments never reaches
 * it.
 */
const MAX_ITEMS = 10_000;

/**
 * Reads a whole list, page by page. An incomplete list could miss a live subscription or a dispute, so a list above the
 * limit is an error.
 *
 * @throws ApiError `unavailable` for any error of a call, and for a list of more than 10,000 items
 */
export async function allFromStripe<T extends { id: string }>(list: Stripe.ApiListPromise<T>): Promise<T[]> {
  await fromStripe("list", list);
  const items: T[] = [];
  const pages = list[Symbol.asyncIterator]();
  // stripe-node fetches a page when the caller requests the first item of that page.
  for (;;) {
    const { value, done } = await withTimeout(pages.next());
    if (done) return items;
    items.push(value);
    if (items.length > MAX_ITEMS)
      throw new ApiError("unavailable", undefined, { cause: `A list of Stripe has more than ${MAX_ITEMS} items` });
  }
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

/**
 * Whether the next attempt needs another Idempotency-Key. Stripe stores every answer for a day under its key, even a
 * server error, and replays the answer (https://docs.stripe.com/api/idempotent_requests).
 */
export function needsNewIdempotencyKey(error: unknown): boolean {
  const failure = failureOf(error);
  return failure !== undefined && (failure.isReplayed || (failure.statusCode ?? 0) >= 500);
}

/**
 * Whether Stripe does not know the object that a parameter names. Stripe gives the same answer when the object belongs
 * to another account or to the other mode (test or live).
 *
 * @param param `id` for the id in the URL
 */
export function isUnknown(error: unknown, param: string): boolean {
  const failure = failureOf(error);
  return failure?.code === "resource_missing" && failure.param === param;
}

/**
 * Reads one object by its id, like `fromStripe`.
 *
 * @returns undefined when Stripe does not know the id
 * @throws ApiError `unavailable`
 */
export async function findAtStripe<T extends { object: string }>(
  object: T["object"],
  call: Promise<T>,
): Promise<T | undefined> {
  return fromStripe(object, call).catch((error: unknown) => {
    if (isUnknown(error, "id")) return undefined;
    throw error;
  });
}

/** Whether Stripe refused a parameter of the call. A retry would fail again. */
export function isRefused(error: unknown): boolean {
  return failureOf(error)?.statusCode === 400;
}

function failureOf(error: unknown): StripeFailure | undefined {
  return error instanceof ApiError && error.cause instanceof StripeFailure ? error.cause : undefined;
}

/** A Stripe error reduced to type, code, status and request id. Its text may quote the request, so it is dropped. */
class StripeFailure extends Error {
  override readonly name = "StripeFailure";
  readonly statusCode: number | undefined;
  readonly code: string | undefined;
  readonly param: string | undefined;
  /** Whether Stripe repeated the answer to an earlier call with the same Idempotency-Key. */
  readonly isReplayed: boolean;

  constructor(error: unknown) {
    const known = error instanceof Stripe.errors.StripeError ? error : undefined;
    const isReplayed = known?.headers?.["idempotent-replayed"] === "true";
    const facts = known
      ? [known.type, known.code, known.statusCode, known.requestId, isReplayed && "replayed"]
      : [errorName(error)];
    super(facts.filter(Boolean).join(" "));
    this.statusCode = known?.statusCode;
    this.code = known?.code;
    this.param = known?.param;
    this.isReplayed = isReplayed;
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
 * Builds an Idempotency-Key. It is equal for the same purpose and parameters, and different otherwise, because Stripe
 * rejects a key with other parameters for a day.
 *
 * @param purpose identifies the thing that must happen only once
 */
export function idempotencyKey(purpose: string[], params: object): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([purpose, params]))
    .digest("base64url");
  return `${purpose[0]}-${hash}`;
}

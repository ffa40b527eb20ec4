import Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { createParameters } from "../lib/parameters";

/** Where Stripe is. Names and URLs only: no secret. */
export interface StripeSettings {
  stripeApiUrl: string;
  /** SSM parameter with the restricted key for what the functions do; undefined where the stack sells nothing. */
  stripeKeyParameter?: string;
  /** `snack-misaki/<stack>`, written on every customer: one Stripe account may serve several stacks. */
  stripeOwner: string;
}

/** A client, and which of Stripe's two worlds its key is for. */
export interface StripeConnection {
  client: Stripe;
  livemode: boolean;
}

/** Two attempts of five seconds, and the wait between them, end well inside the 30 s of API Gateway and of Stripe. */
const limits = { timeout: 5_000, maxNetworkRetries: 1 } as const;

/**
 * Stripe's own client, with the key as Parameter Store has it.
 *
 * @returns a function that gives the connection; it throws ApiError `unavailable` when there is no key
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
 * How long a call may take with everything the client does to it: two attempts and the wait between them. The client's own
 * limit begins anew with each byte that comes, and is no limit where an answer trickles.
 */
const PATIENCE_MS = 12_000;

/**
 * Awaits a call to Stripe and looks at what comes back: anything but the object that was asked for is a failure, because
 * the client takes every JSON body without an `error` for an answer.
 *
 * @param object Stripe's name for what is due: `customer`, `list`, `checkout.session`
 * @throws ApiError `unavailable` in place of whatever the call throws
 */
export async function fromStripe<T extends { object: string }>(object: T["object"], call: Promise<T>): Promise<T> {
  const answer = await inTime(call);
  const isWhole = object === "list" || (answer as { id?: unknown } | null)?.id;
  if (answer?.object === object && isWhole) return answer;
  throw new ApiError("unavailable", undefined, { cause: `Stripe answered ${answer?.object} where ${object} is due` });
}

/** All items of a list, `most` of them at most. Throws ApiError `unavailable`. */
export async function allFromStripe<T extends { id: string }>(
  list: Stripe.ApiListPromise<T>,
  most: number,
): Promise<T[]> {
  await fromStripe("list", list);
  return inTime(list.autoPagingToArray({ limit: most }));
}

async function inTime<T>(call: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const tooLate = () => reject(new ApiError("unavailable", undefined, { cause: "Stripe has not answered in time" }));
  const timer = setTimeout(tooLate, PATIENCE_MS);
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    throw stripeFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether Stripe itself failed; it answers so again to the same Idempotency-Key. */
export function isServerError(error: unknown): boolean {
  const status = error instanceof ApiError && error.cause instanceof StripeFailure ? error.cause.statusCode : undefined;
  return status !== undefined && status >= 500;
}

/** What Stripe said: type, code and request id. Its text may quote what was sent, and goes nowhere. */
class StripeFailure extends Error {
  override readonly name = "StripeFailure";
  readonly statusCode: number | undefined;

  constructor(error: unknown) {
    const known = error instanceof Stripe.errors.StripeError ? error : undefined;
    const facts = known ? [known.type, known.code, known.statusCode, known.requestId] : [describe(error)];
    super(facts.filter(Boolean).join(" "));
    this.statusCode = known?.statusCode;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** The ApiError `unavailable` that a failed call to Stripe becomes. */
export function stripeFailure(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError("unavailable", undefined, { cause: new StripeFailure(error) });
}

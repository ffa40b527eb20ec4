import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, Hono } from "hono";
import Stripe from "stripe";
import { CutConnection } from "../support/http";
import type { StripeAccount } from "./account";
import { expanded } from "./expand";
import { check, parseForm } from "./form";
import { Idempotency } from "./idempotency";
import { newId } from "./ids";
import { StripeProblem } from "./problem";
import type { Route } from "./route";
import { routes } from "./routes";
import type { Switches } from "./switches";

/** Serves Stripe's API below `/v1`. */
export function stripeApi(account: StripeAccount, keys: string[], switches: Switches): Hono {
  const app = new Hono();
  const idempotency = new Idempotency();
  const known = routes(account, switches);

  for (const route of known) app.on(route.method, route.path, (c) => handle(c, route));
  app.all("*", (c) => {
    const path = new URL(c.req.url).pathname;
    const text = `Unrecognized request URL (${c.req.method}: ${path}). If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code. Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`;
    return problem(newId("req", 14), new StripeProblem(404, "invalid_request_error", text));
  });

  async function handle(c: Context, route: Route): Promise<Response> {
    const requestId = newId("req", 14);
    const key = c.req.header("idempotency-key");
    try {
      authorize(c, keys);
      const failure = nextFailure(switches);
      if (route.method !== "POST" || key === undefined) {
        await sleep(switches.apiDelayMs);
        if (failure !== undefined && failure > 0) throw failed(failure);
        const body = await answer(c, route, requestId, null);
        if (failure === 0) throw new CutConnection();
        return respond(200, body, requestId);
      }
      const text = await c.req.text();
      const fingerprint = createHash("sha256").update(`${c.req.path}\n${text}`).digest("hex");
      const { given, replayed } = await idempotency.once(key, fingerprint, async () => {
        // During this delay a second request with the same key can arrive, as it can over a real network.
        await sleep(switches.apiDelayMs);
        if (failure !== undefined && failure > 0) return kept(failed(failure), requestId);
        try {
          return { status: 200, body: await answer(c, route, requestId, key), requestId, keep: true };
        } catch (error) {
          if (error instanceof StripeProblem) return kept(error, requestId);
          throw error;
        }
      });
      if (failure === 0) throw new CutConnection();
      const headers = {
        "idempotency-key": key,
        "original-request": given.requestId,
        ...(replayed && { "idempotent-replayed": "true" }),
      };
      return respond(given.status, given.body, requestId, headers);
    } catch (error) {
      if (error instanceof StripeProblem) return problem(requestId, error);
      throw error;
    }
  }

  async function answer(c: Context, route: Route, requestId: string, key: string | null): Promise<string> {
    account.catchUp();
    const form = route.method === "POST" ? await c.req.text() : new URL(c.req.url).search.slice(1);
    const params = check(route.params, parseForm(form)) as { expand?: string[] };
    account.ledger.cause = { id: requestId, idempotencyKey: key };
    try {
      const object = route.answer(params as never, c.req.param("id") ?? "");
      return JSON.stringify(expanded(account.ledger, object, params.expand), null, 2);
    } finally {
      account.ledger.cause = { id: null, idempotencyKey: null };
    }
  }

  return app;
}

function authorize(c: Context, keys: string[]): void {
  const header = c.req.header("authorization") ?? "";
  const basic = /^basic (.+)$/i.exec(header)?.[1];
  const key =
    basic === undefined
      ? header.replace(/^bearer /i, "")
      : (Buffer.from(basic, "base64").toString().split(":")[0] ?? "");
  if (key === "") {
    throw new StripeProblem(
      401,
      "invalid_request_error",
      "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
    );
  }
  if (!keys.includes(key)) {
    const shown = `${key.slice(0, 8)}${"*".repeat(Math.max(0, key.length - 12))}${key.slice(-4)}`;
    throw new StripeProblem(401, "invalid_request_error", `Invalid API Key provided: ${shown}`);
  }
}

function nextFailure(switches: Switches): number | undefined {
  if (switches.apiFailures <= 0) return undefined;
  switches.apiFailures--;
  return switches.apiFailureStatus;
}

function failed(status: number): StripeProblem {
  return status === 429
    ? new StripeProblem(429, "invalid_request_error", "Request rate limit exceeded.", { code: "rate_limit" })
    : new StripeProblem(status, "api_error", "An unknown error occurred.");
}

/**
 * Builds the answer to a failed request. Stripe stores the answer under the Idempotency-Key after a declined card or a
 * server error. Stripe does not store it after a request that was rejected before processing.
 */
function kept(error: StripeProblem, requestId: string) {
  const isBegun = error.status >= 500 || error.type === "card_error";
  return { status: error.status, body: problemBody(error), requestId, keep: isBegun };
}

function problemBody({ type, message, details }: StripeProblem): string {
  const docs = details.code && { doc_url: `https://stripe.com/docs/error-codes/${details.code.replaceAll("_", "-")}` };
  return JSON.stringify({ error: { ...details, ...docs, message, type } }, null, 2);
}

function problem(requestId: string, error: StripeProblem): Response {
  return respond(error.status, problemBody(error), requestId);
}

function respond(status: number, body: string, requestId: string, more: Record<string, string> = {}): Response {
  const headers = {
    "content-type": "application/json",
    "request-id": requestId,
    "stripe-version": Stripe.API_VERSION,
    "cache-control": "no-cache, no-store",
    ...(status === 409 && { "stripe-should-retry": "true" }),
    ...more,
  };
  return new Response(body, { status, headers });
}

import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import * as z from "zod/mini";
import { type PanelState, panelSwitches, type StripePanel } from "./stripePanel";

/** Parts of the local cloud that the panel's routes use. */
export interface PanelOptions {
  /** The Stripe double; undefined with real Stripe. */
  stripe(): StripePanel | undefined;
  /** Reads a customer's row of the users table; undefined when the customer has no row. */
  row(userId: string): Promise<Record<string, unknown> | undefined>;
}

const UserId = z.string().check(z.minLength(1), z.maxLength(128));
const ForUser = z.strictObject({ userId: UserId });
const MOST_SECONDS = 400 * 24 * 3600;

/** Actions by path: each parses its body and calls the double. */
const actions: Record<string, (stripe: StripePanel, body: unknown) => Promise<void>> = {
  advance: action(z.strictObject({ seconds: z.int().check(z.gte(1), z.lte(MOST_SECONDS)) }), (stripe, { seconds }) =>
    stripe.advance(seconds),
  ),
  "fail-next-renewal": action(ForUser, (stripe, { userId }) => stripe.failNextRenewal(userId)),
  "mend-card": action(ForUser, (stripe, { userId }) => stripe.mendCard(userId)),
  dispute: action(ForUser, (stripe, { userId }) => stripe.dispute(userId)),
  "close-dispute": action(
    z.strictObject({ userId: UserId, outcome: z.enum(["won", "lost"]) }),
    (stripe, { userId, outcome }) => stripe.closeDispute(userId, outcome),
  ),
  refund: action(ForUser, (stripe, { userId }) => stripe.refund(userId)),
  switch: action(z.strictObject({ name: z.enum(panelSwitches), on: z.boolean() }), (stripe, { name, on }) =>
    stripe.setSwitch(name, on),
  ),
};

function action<Body>(schema: z.ZodMiniType<Body>, run: (stripe: StripePanel, body: Body) => Promise<void>) {
  return async (stripe: StripePanel, body: unknown): Promise<void> => {
    const parsed = schema.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw refusal(400, `The body is not valid: ${issue?.path.join(".") || "unknown or missing fields"}.`);
    }
    // The double's error message says why the action is impossible.
    await run(stripe, parsed.data).catch((error: unknown) => {
      throw refusal(409, error instanceof Error ? error.message : String(error));
    });
  };
}

/**
 * Routes of the panel: `GET /row?user=<sub>` (`{row}`, null when there is none), `GET /stripe` and `POST
 * /stripe/<action>` (`PanelState`; 404 without a double). Requests of other origins are rejected. Errors are `{error:
 * {message}}`.
 */
export function panelRoutes({ stripe, row }: PanelOptions): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    const status = error instanceof HTTPException ? error.status : 500;
    return c.json({ error: { message: error.message } }, status);
  });

  for (const path of ["/row", "/stripe/*"]) {
    app.use(path, async (c, next) => {
      requireOwnOrigin(c);
      await next();
    });
  }

  app.get("/row", async (c) => {
    const userId = UserId.safeParse(c.req.query("user"));
    if (!userId.success) throw refusal(400, "user: must be the Cognito sub of a customer.");
    return c.json({ row: (await row(userId.data)) ?? null });
  });

  app.get("/stripe", (c) => c.json(stateOf(double())));

  app.post("/stripe/:action", async (c) => {
    const name = c.req.param("action");
    const act = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (!act) throw refusal(404, `There is no action ${name}.`);
    if (c.req.header("content-type") !== "application/json") throw refusal(415, "The body must be application/json.");
    const body: unknown = await c.req.json().catch(() => {
      throw refusal(400, "The body is not JSON.");
    });
    const current = double();
    await act(current, body);
    return c.json(stateOf(current));
  });

  function double(): StripePanel {
    const current = stripe();
    if (!current) throw refusal(404, "There is no Stripe double, because billing uses real Stripe.");
    return current;
  }

  return app;
}

function stateOf(stripe: StripePanel): PanelState {
  return { now: stripe.now(), switches: stripe.switches() };
}

function requireOwnOrigin(c: Context): void {
  const { origin } = new URL(c.req.url);
  if ((c.req.header("origin") ?? origin) !== origin) throw refusal(403, "Only the page itself may call this route.");
}

function refusal(status: 400 | 403 | 404 | 409 | 415, message: string): HTTPException {
  return new HTTPException(status, { message });
}

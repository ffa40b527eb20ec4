import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import * as z from "zod/mini";
import { Model } from "../../contract/plan";
import { VipProvider } from "../../contract/relay";
import { type CandidatesPanel, candidateFaults } from "./candidatesPanel";
import { llmFaults, type ModelsPanel, runpodSwitches } from "./modelsPanel";
import { PanelRefusal, type PanelState, panelSwitches, type StripePanel } from "./stripePanel";

/** Parts of the local cloud that the panel's routes use. */
export interface PanelOptions {
  /** The Stripe double; undefined with real Stripe. */
  stripe(): StripePanel | undefined;
  /** Reads a customer's row of the users table; undefined when the customer has no row. */
  row(userId: string): Promise<Record<string, unknown> | undefined>;
  /** The models; undefined before the local cloud has started. */
  models(): ModelsPanel | undefined;
  /** The models' candidates; undefined before the local cloud has started. */
  candidates(): CandidatesPanel | undefined;
}

const UserId = z.string().check(z.minLength(1), z.maxLength(128));
const ForUser = z.strictObject({ userId: UserId });
const MOST_SECONDS = 400 * 24 * 3600;

/** Parses the body of an action and calls the panel. */
type Action<Panel> = (panel: Panel, body: unknown) => Promise<void>;

const stripeActions: Record<string, Action<StripePanel>> = {
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

const modelActions: Record<string, Action<ModelsPanel>> = {
  runpod: action(z.strictObject({ name: z.enum(runpodSwitches), on: z.boolean() }), async (models, { name, on }) =>
    models.setRunpod(name, on),
  ),
  llm: action(z.strictObject({ name: VipProvider, fault: z.enum(llmFaults) }), async (models, { name, fault }) =>
    models.setLlm(name, fault),
  ),
};

const candidateActions: Record<string, Action<CandidatesPanel>> = {
  share: action(
    z.strictObject({ model: Model, share: z.number().check(z.gte(0), z.lte(100)) }),
    (candidates, { model, share }) => candidates.setShare(model, share),
  ),
  abort: action(z.strictObject({ model: Model }), (candidates, { model }) => candidates.abort(model)),
  fault: action(
    z.strictObject({ model: Model, fault: z.enum(candidateFaults) }),
    async (candidates, { model, fault }) => candidates.setFault(model, fault),
  ),
};

function action<Panel, Body>(
  schema: z.ZodMiniType<Body>,
  run: (panel: Panel, body: Body) => Promise<void>,
): Action<Panel> {
  return async (panel, body) => {
    const parsed = schema.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw refusal(400, `The body is not valid: ${issue?.path.join(".") || "unknown or missing fields"}.`);
    }
    await run(panel, parsed.data).catch((error: unknown) => {
      if (error instanceof PanelRefusal) throw error;
      throw refusal(409, error instanceof Error ? error.message : String(error));
    });
  };
}

/**
 * Routes of the panel: `GET /row?user=<sub>` (`{row}`, which is null for a customer without a row), `GET /stripe` and
 * `POST /stripe/<action>` (`PanelState`; 404 without a double), `GET /models` and `POST /models/<action>`
 * (`ModelsState`), `GET /candidates` and `POST /candidates/<action>` (`CandidatesState`, for the visitor in
 * `?user=<user id>`). Requests of other origins are rejected. Errors are `{error: {message, reason?}}`.
 */
export function panelRoutes({ stripe, row, models, candidates }: PanelOptions): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (error instanceof PanelRefusal) return c.json({ error: { message: error.message, reason: error.reason } }, 409);
    const status = error instanceof HTTPException ? error.status : 500;
    return c.json({ error: { message: error.message } }, status);
  });

  for (const path of ["/row", "/stripe/*", "/models/*", "/candidates/*"]) {
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

  const stripeDouble = () => stripe() ?? missing("There is no Stripe double, because billing uses real Stripe.");
  const modelsPanel = () => models() ?? missing("The models have not started yet.");
  addActions(app, "/stripe", stripeDouble, stripeActions, stateOf);
  const candidatesPanel = () => candidates() ?? missing("The candidates have not started yet.");
  addActions(app, "/models", modelsPanel, modelActions, (panel) => panel.state());
  addActions(app, "/candidates", candidatesPanel, candidateActions, (panel, c) => panel.state(c.req.query("user")));
  return app;
}

/** Adds `GET <path>` and `POST <path>/<action>`. Both answer with the panel's state. */
function addActions<Panel>(
  app: Hono,
  path: string,
  panel: () => Panel,
  actions: Record<string, Action<Panel>>,
  state: (panel: Panel, c: Context) => object | Promise<object>,
): void {
  app.get(path, async (c) => c.json(await state(panel(), c)));
  app.post(`${path}/:action`, async (c) => {
    const name = c.req.param("action");
    const act = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (!act) throw refusal(404, `There is no action ${name}.`);
    if (c.req.header("content-type") !== "application/json") throw refusal(415, "The body must be application/json.");
    const body: unknown = await c.req.json().catch(() => {
      throw refusal(400, "The body is not JSON.");
    });
    const current = panel();
    await act(current, body);
    return c.json(await state(current, c));
  });
}

function missing(message: string): never {
  throw refusal(404, message);
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

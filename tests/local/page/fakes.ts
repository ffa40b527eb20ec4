import { Hono } from "hono";
import { cors } from "hono/cors";
import type { PaidPlan, PlanInfo, Session } from "../../../client";
import type { AdminCandidate } from "../../../contract/admin";
import { ApiError, type ErrorCode } from "../../../contract/errors";
import { LONGEST_FIRST_TEXT_MS } from "../../../functions/core/canary/verdict";
import type { CandidateFault, CandidatesPanel } from "../../../local/page/candidatesPanel";
import type { ModelsPanel, ModelsState } from "../../../local/page/modelsPanel";
import type { StripePanel } from "../../../local/page/stripePanel";
import { serve } from "../../../local/support/http";

const NOW = Date.UTC(2026, 10, 23) / 1000;

/** A fake `StripePanel` that records the calls of its methods. */
export function fakePanel(overrides: Partial<StripePanel> = {}) {
  const calls: string[] = [];
  const switches = { hold: false, duplicate: false, delay: false, reorder: false, lose: false };
  let ahead = 0;
  const note =
    (name: string) =>
    async (...args: unknown[]) => {
      calls.push([name, ...args].join(" "));
    };
  const panel: StripePanel = {
    now: () => NOW + ahead,
    async advance(seconds) {
      ahead += seconds;
      await note("advance")(seconds);
    },
    failNextRenewal: note("failNextRenewal"),
    mendCard: note("mendCard"),
    dispute: note("dispute"),
    closeDispute: note("closeDispute"),
    refund: note("refund"),
    switches: () => ({ ...switches }),
    async setSwitch(name, on) {
      switches[name] = on;
      await note("setSwitch")(name, on);
    },
    ...overrides,
  };
  return { ...panel, calls };
}

/** A fake `ModelsPanel` with one endpoint and two LLMs. */
export function fakeModels(): ModelsPanel {
  const state: ModelsState = {
    runpod: { noGpus: false, slowStart: false, crash: false, noImage: false, refuse: false, busy: false },
    llms: { anthropic: "none", openai: "none", bedrock: "none", huggingface: "none" },
    endpoints: [
      {
        name: "snack-misaki-start-phi3",
        workers: [{ id: "worker-1", status: "IDLE" }],
        jobs: { inQueue: 0, inProgress: 1, completed: 2, failed: 0 },
      },
    ],
  };
  return {
    state: () => state,
    setRunpod(name, on) {
      state.runpod[name] = on;
    },
    setLlm(name, fault) {
      state.llms[name] = fault;
    },
  };
}

/** A fake `CandidatesPanel` with a candidate of mistral that records the calls of its methods. */
export function fakeCandidates() {
  const at = "2026-11-23T12:00:00.000Z";
  const replies = { replies: 3, failed: 0, empty: 0, invalid: 0, first_text_ms: null };
  const candidate: AdminCandidate = {
    model: "mistral",
    image: "local-2",
    endpoint: "candidate-endpoint",
    is_ready: false,
    share: 5,
    configured_share: 5,
    testers: ["user-paid"],
    override: null,
    verdict: { action: "wait", reason: "3 replies, too few for a verdict: at least 50 are needed.", at },
    candidate: replies,
    released: { ...replies, replies: 60, first_text_ms: { p50: 500, p95: LONGEST_FIRST_TEXT_MS + 1 } },
    workers: null,
    events: [],
  };
  const calls: string[] = [];
  let fault: CandidateFault = "none";
  let isPromoted = false;
  const override = (share: number, reason: string, is_aborted: boolean) => {
    const { share: from } = candidate;
    candidate.override = { share, is_aborted, by: "operator", reason, at };
    candidate.events.unshift({ at, by: "operator", from, to: share, reason });
    candidate.share = share;
  };
  const panel: CandidatesPanel = {
    state: async (visitor) => {
      const users = [
        { isVisitor: true, isCandidate: false, ...(visitor === undefined && { email: "nobody" }) },
        { email: "paid@example.com", isVisitor: false, isCandidate: candidate.testers.length > 0 },
      ];
      const view = { candidate, versions: { candidate: "local-2", released: "local-1" }, users, fault };
      return { candidates: isPromoted ? [] : [view] };
    },
    async setShare(model, share) {
      calls.push(`share ${model} ${share}`);
      override(share, `An operator set the share to ${share}%.`, false);
    },
    async abort(model) {
      calls.push(`abort ${model}`);
      candidate.testers = [];
      override(0, "An operator aborted the candidate.", true);
    },
    setFault(model, next) {
      calls.push(`fault ${model} ${next}`);
      fault = next;
    },
  };
  const promote = () => {
    isPromoted = true;
  };
  return { ...panel, calls, promote };
}

/** State of the fake API's only customer. Tests change it. */
export interface FakeCustomer {
  /** State at Stripe: the answer of `POST /billing/sync`. */
  atStripe: Partial<PlanInfo>;
  /**
   * State of the customer's row: the answer of `GET /billing/plan` and the session's plan. A sync copies `atStripe` to
   * `inRow`.
   */
  inRow: Partial<PlanInfo>;
  /** Error code of `POST /billing/checkout`. If undefined, the checkout succeeds. */
  refuse?: ErrorCode;
  /** Whether `POST /billing/sync` fails. */
  syncDown?: boolean;
}

/**
 * A fake auth/billing API for one customer and guests. Its Stripe pages have another origin and redirect back at once.
 * The Checkout page acts as if the customer bought the plan. The portal changes the plan only when the request names a
 * plan.
 *
 * @param session creates a guest's session
 */
export async function startApi(session: () => Session, customer: FakeCustomer, returnUrl: string) {
  const calls: string[] = [];
  const stripe = new Hono();
  stripe.get("/pay/:plan", (c) => {
    const plan = c.req.param("plan") as PaidPlan;
    const expires_at = "2026-12-23T00:00:00.000Z";
    customer.atStripe = { plan, stripe_status: "active", reason: "subscription", expires_at };
    return c.redirect(`${returnUrl}?checkout=success`);
  });
  stripe.get("/portal", (c) => {
    const plan = c.req.query("plan") as PaidPlan | undefined;
    if (plan) customer.atStripe = { ...customer.atStripe, plan };
    return c.redirect(`${returnUrl}?portal=return`);
  });
  const pages = await serve("Stripe's pages", 0, stripe.fetch);

  const app = new Hono();
  app.use(cors({ origin: "*", allowHeaders: ["authorization", "content-type"] }));
  app.use(async (c, next) => {
    calls.push(`${c.req.method} ${c.req.path}`);
    if (c.req.path !== "/auth/guest" && !c.req.header("authorization")) return c.json({ message: "Unauthorized" }, 401);
    return next();
  });
  const plan = (known: Partial<PlanInfo>): PlanInfo => ({
    user_id: "user-1",
    plan: "free",
    stripe_status: null,
    expires_at: null,
    updated_at: null,
    reason: "no_record",
    limits: session().limits,
    ...known,
  });
  const refuse = (code: ErrorCode) => {
    const error = new ApiError(code);
    return Response.json(error.body, { status: error.status });
  };
  app.post("/auth/guest", (c) => c.json(session()));
  app.post("/auth/session", (c) => {
    const { plan: current } = plan(customer.inRow);
    const model = current === "free" ? "phi3" : "mistral";
    return c.json({ ...session(), user_id: "user-1", plan: current, model });
  });
  app.get("/billing/plan", (c) => c.json(plan(customer.inRow)));
  app.post("/billing/sync", (c) => {
    if (customer.syncDown) return refuse("unavailable");
    customer.inRow = customer.atStripe;
    return c.json(plan(customer.inRow));
  });
  app.post("/billing/checkout", async (c) => {
    if (customer.refuse) return refuse(customer.refuse);
    const { plan: wanted } = (await c.req.json()) as { plan: PaidPlan };
    return c.json({ url: `${pages.url}/pay/${wanted}` });
  });
  app.post("/billing/portal", async (c) => {
    const body = await c.req.text();
    const query = body ? `?${new URLSearchParams(JSON.parse(body) as { plan: PaidPlan })}` : "";
    return c.json({ url: `${pages.url}/portal${query}` });
  });
  const api = await serve("API", 0, app.fetch);
  return {
    url: api.url,
    calls,
    async close() {
      await Promise.all([api.close(), pages.close()]);
    },
  };
}

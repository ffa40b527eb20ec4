import { createHash } from "node:crypto";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { type Listening, serve } from "../../local/support/http";

/** Session that the auth API would return for a job API at `url`. */
export function sessionFor(url: string, change: Partial<ReturnType<typeof baseSession>> = {}) {
  return { ...baseSession(url), ...change };
}

function baseSession(url: string) {
  return {
    user_id: "guest:7d0f",
    plan: "free" as const,
    model: "phi3" as const,
    inference: { url: `${url}/v2/ep1`, authorization: "Bearer restricted" },
    ticket: "ticket-1",
    ticket_expires_at: new Date(Date.now() + 120_000).toISOString(),
    limits: { max_tokens: 256, max_messages: 10, max_input_chars: 500 },
  };
}

/** Last stream item of the reply `text`. */
export function doneItem(text: string) {
  return {
    done: true as const,
    text,
    finish_reason: "stop" as const,
    usage: { prompt_tokens: 20, completion_tokens: 5 },
    model: { plan: "free" as const, name: "phi3" as const, version: "2026-11-01" },
    timings: { ttft_ms: 30, total_ms: 90 },
  };
}

/** Response to one `/stream` poll. A number is an HTTP status without a JSON body. */
export type StreamStep = { status: string; items?: unknown[] } | number;

/** Script of the fake job API. */
export interface JobScript {
  /** Responses to the `/stream` polls, in order. Later polls repeat the final status without items. */
  stream?: StreamStep[];
  /** Response of `/status/<id>`. */
  status?: unknown;
  /** Delays the response of `/run` after the job was created. */
  beforeAnswer?: () => Promise<void>;
  /** Returns the response that rejects `/run`, or undefined to accept the job. */
  reject?: (ticket: string) => { status: 401 | 429 | 404; body: unknown } | undefined;
  /** Selects the script of a job by its ticket. */
  jobFor?: (ticket: string) => Pick<JobScript, "stream" | "status">;
}

/**
 * Starts a fake of RunPod's job API with scripted responses. Every request needs the authorization. Each `/run` creates
 * one job. The fake delivers each stream item only one time. It responds with 404 for an unknown job.
 */
export async function startJobApi(script: JobScript) {
  const calls: string[] = [];
  const inputs: Record<string, unknown>[] = [];
  const policies: unknown[] = [];
  const jobs = new Map<string, { steps: StreamStep[]; status: unknown }>();
  const app = new Hono().basePath("/v2/ep1");
  app.use(cors({ origin: "*", allowHeaders: ["authorization", "content-type"] }));
  app.use(async (c, next) => {
    calls.push(`${c.req.method} ${c.req.path.replace("/v2/ep1", "")}`);
    if (c.req.header("authorization") !== "Bearer restricted") return c.json({ message: "no" }, 401);
    return next();
  });
  app.post("/run", async (c) => {
    const body = (await c.req.json()) as { input: Record<string, unknown>; policy?: unknown };
    inputs.push(body.input);
    policies.push(body.policy);
    const ticket = String(body.input.ticket);
    const rejection = script.reject?.(ticket);
    if (rejection) return c.json(rejection.body as object, rejection.status);
    const { stream = [], status = {} } = script.jobFor?.(ticket) ?? script;
    const id = `job-${jobs.size + 1}-u1`;
    jobs.set(id, { steps: [...stream], status });
    await script.beforeAnswer?.();
    return c.json({ id, status: "IN_QUEUE" });
  });
  app.get("/stream/:id", (c) => {
    const job = jobs.get(c.req.param("id"));
    if (!job) return c.json({ error: "no such job" }, 404);
    const [step = { status: "IN_PROGRESS" }] = job.steps;
    if (job.steps.length > 1) job.steps.shift();
    else if (typeof step === "object") job.steps[0] = { status: step.status };
    if (typeof step === "number") return c.text("<html>edge</html>", step as 502);
    return c.json({ status: step.status, stream: (step.items ?? []).map((output) => ({ output })) });
  });
  app.get("/status/:id", (c) => {
    const job = jobs.get(c.req.param("id"));
    return job ? c.json(job.status as object) : c.json({ error: "no such job" }, 404);
  });
  app.post("/cancel/:id", (c) => c.json({ id: c.req.param("id"), status: "CANCELLED" }));
  const server = await serve("job API", 0, app.fetch);
  /** Appends a step to the newest job's script. */
  const push = (step: StreamStep) => [...jobs.values()].at(-1)?.steps.push(step);
  return { ...server, calls, inputs, policies, push };
}

/** `iss` of the fake hosted domain's ID tokens. */
export const ISSUER = "https://cognito-idp.ap-northeast-1.amazonaws.com/ap-northeast-1_Test";

/** Settings of the fake hosted domain. */
export interface HostedDomainSettings {
  clientId: string;
  redirectUri: string;
  /** Lifetime of an ID token in seconds. Default one hour. */
  expiresIn?: number;
  /** Whether each refresh replaces the refresh token. */
  rotation?: boolean;
}

/** Faults of the fake hosted domain. */
interface HostedDomainState {
  /** Makes every `/oauth2/token` request fail with this status. */
  down?: number;
  /** Runs when a code arrives, before the exchange. */
  beforeExchange?: () => Promise<void>;
  /** Runs when a refresh arrives. */
  beforeRefresh?: () => Promise<void>;
  /** Runs after a code exchange or a refresh, before the answer is sent. */
  beforeAnswer?: () => Promise<void>;
  /** Claims of the next ID tokens. */
  claims?: object;
}

/**
 * Starts a fake of Cognito's hosted domain that signs in every visitor. It checks PKCE and accepts each code once. A
 * replaced refresh token stays valid until the test deletes it, which simulates the end of the grace period.
 */
export async function startHostedDomain(settings: HostedDomainSettings) {
  const codes = new Map<string, { challenge: string; nonce: string }>();
  const calls: Record<string, string>[] = [];
  const refreshTokens = new Set<string>();
  let issued = 0;
  let signIns = 0;
  const state: HostedDomainState = {};
  const app = new Hono();
  app.onError((error) => {
    throw error;
  });
  app.use(cors({ origin: "*" }));
  app.get("/oauth2/authorize", (c) => c.redirect(signInAt(c.req.url)));
  app.get("/logout", (c) => c.redirect(c.req.query("logout_uri") ?? ""));
  app.post("/oauth2/token", async (c) => {
    if (state.down) return c.json({ message: "down" }, state.down as 500);
    if (!c.req.header("content-type")?.startsWith("application/x-www-form-urlencoded"))
      return c.json({ error: "invalid_request" }, 400);
    const form = Object.fromEntries(new URLSearchParams(await c.req.text()));
    calls.push(form);
    if (form.client_id !== settings.clientId) return c.json({ error: "invalid_client" }, 400);
    const { expiresIn = 3600 } = settings;
    const iat = Math.floor(Date.now() / 1000);
    const claims = { sub: "user-1", email: "みさき@example.com", iss: ISSUER, aud: settings.clientId, iat };
    const tokensFor = (more: object) => ({
      id_token: idToken({ ...claims, exp: iat + expiresIn, jti: ++issued, ...more, ...state.claims }),
      access_token: "access",
      // This is the lifetime of the access token. The ID token has a different lifetime.
      expires_in: 86_400,
      token_type: "Bearer",
    });
    if (form.grant_type === "refresh_token") {
      await state.beforeRefresh?.();
      if (!refreshTokens.has(form.refresh_token ?? "")) return c.json({ error: "invalid_grant" }, 400);
      const tokens = tokensFor({});
      const rotated = settings.rotation && { refresh_token: `refresh-${issued}` };
      if (rotated) refreshTokens.add(rotated.refresh_token);
      await state.beforeAnswer?.();
      return c.json({ ...tokens, ...rotated });
    }
    await state.beforeExchange?.();
    const granted = codes.get(form.code ?? "");
    codes.delete(form.code ?? "");
    const proof = createHash("sha256")
      .update(form.code_verifier ?? "")
      .digest("base64url");
    if (granted?.challenge !== proof || form.redirect_uri !== settings.redirectUri)
      return c.json({ error: "invalid_grant" }, 400);
    const tokens = { ...tokensFor({ nonce: granted.nonce }), refresh_token: `refresh-${issued}` };
    refreshTokens.add(tokens.refresh_token);
    await state.beforeAnswer?.();
    return c.json(tokens);
  });
  app.post("/oauth2/revoke", async (c) => {
    refreshTokens.delete(new URLSearchParams(await c.req.text()).get("token") ?? "");
    return c.body(null, 200);
  });
  const server: Listening = await serve("hosted domain", 0, app.fetch);
  /** Signs the customer in. Returns the URL to which the hosted page redirects the browser. */
  function signInAt(authorizeUrl: string): string {
    const query = new URL(authorizeUrl).searchParams;
    const code = `code-${++signIns}`;
    codes.set(code, { challenge: query.get("code_challenge") ?? "", nonce: query.get("nonce") ?? "" });
    return `${query.get("redirect_uri")}?${new URLSearchParams({ code, state: query.get("state") ?? "" })}`;
  }
  return { ...server, calls, refreshTokens, state, signInAt };
}

/** ID token with an invalid signature. The client does not verify signatures. */
function idToken(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2ln`;
}

/** In-memory double of a browser's storage. */
export function memoryStorage() {
  const map = new Map<string, string>();
  return {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
    removeItem: (key: string) => void map.delete(key),
  };
}

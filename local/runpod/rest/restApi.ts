import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Events } from "../../support/events";
import type { RunpodKey } from "../apiKeys";
import { openApiDocument } from "./openapi";
import { invalidBody, problemOf, problemResponse, RestProblem } from "./problem";
import { type RestQuota, RestRateLimit } from "./rateLimit";
import type { RestCall, RestRoute } from "./route";
import { type RestContext, restRoutes } from "./routes";

interface RestOptions extends RestContext {
  keys: RunpodKey[];
  quota: RestQuota;
  /** Returns milliseconds since the epoch. */
  now: () => number;
  events: Events;
}

/** RunPod checks this limit before the API key. */
const MAX_BODY_BYTES = 102_400;

/** Path segments after `/v2/` that belong to REST v2. No endpoint has one of these texts as its id. */
const collections: readonly string[] = [
  "serverless",
  "templates",
  "registries",
  "network-volumes",
  "catalog",
  "billing",
  "account",
  "pods",
];

/** Whether a path belongs to REST v2. All other paths below `/v2` belong to the job API. */
export function isRestPath(path: string): boolean {
  const [, , first = ""] = path.split("/");
  return first === "openapi.json" || collections.includes(first);
}

/**
 * REST v2, the control plane of `api.runpod.io/v2`. It must be mounted before the job API of `api.runpod.ai/v2`,
 * because both share the path `/v2`.
 */
export function restApi(options: RestOptions): Hono {
  const app = new Hono();
  const routes = restRoutes(options);
  const limits = new Map<string, RestRateLimit>();

  app.get("/openapi.json", (c) => c.json(openApiDocument(routes)));
  for (const route of routes) app.on(route.method, honoPath(route), (c) => handleAndLog(c, route));
  for (const collection of collections) {
    app.all(`/${collection}`, (c) => handleAndLog(c));
    app.all(`/${collection}/*`, (c) => handleAndLog(c));
  }

  async function handleAndLog(c: Context, route?: RestRoute): Promise<Response> {
    const response = await handle(c, route);
    const { pathname } = new URL(c.req.url);
    options.events.emit({ source: "runpod", summary: `${c.req.method} ${pathname} → ${response.status}` });
    return response;
  }

  async function handle(c: Context, route: RestRoute | undefined): Promise<Response> {
    let headers: Record<string, string> = {};
    try {
      if (Number(c.req.header("content-length") ?? 0) > MAX_BODY_BYTES)
        throw new RestProblem(413, "request body too large");
      const key = callerOf(c, options.keys);
      const limit = limits.get(key.key) ?? new RestRateLimit(options.quota, options.now);
      limits.set(key.key, limit);
      const entry = limit.enter();
      headers = entry.headers;
      if (entry.exceeded) throw new RestProblem(429, `rate limit exceeded for the ${entry.exceeded} window`);
      const isAllowed = key.scope === "account" || (key.scope === "read-only" && c.req.method === "GET");
      if (!isAllowed) throw new RestProblem(403, "access denied");
      if (!route) return unknownRoute(c, routes, headers);
      const call: RestCall = {
        id: c.req.param("id") ?? "",
        workerId: c.req.param("workerId") ?? "",
        query: new URL(c.req.url).searchParams,
        lastEventId: c.req.header("last-event-id"),
        hungUp: c.req.raw.signal,
      };
      const answer = route.answer(call, (await readBody(c, route)) as never);
      if (answer instanceof Response) {
        for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
        return answer;
      }
      if (route.status === 204) return c.body(null, 204, headers);
      return c.json(answer, route.status as ContentfulStatusCode, headers);
    } catch (error) {
      return problemResponse(problemOf(error), headers);
    }
  }

  return app;
}

function honoPath({ path }: RestRoute): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

/**
 * @throws RestProblem when the request has no known Bearer key. REST v2 accepts only Bearer keys.
 */
function callerOf(c: Context, keys: RunpodKey[]): RunpodKey {
  const presented = /^Bearer\s+(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (presented === undefined) throw new RestProblem(401, "missing bearer token");
  const key = keys.find((known) => known.key === presented);
  if (!key) throw new RestProblem(401, "invalid bearer token");
  return key;
}

async function readBody(c: Context, { body }: RestRoute): Promise<unknown> {
  if (!body) return undefined;
  const json: unknown = await c.req.json().catch(() => undefined);
  if (json === undefined) throw new RestProblem(400, "request body must be JSON");
  const parsed = body.safeParse(json, { reportInput: true });
  if (!parsed.success) throw invalidBody(parsed.error.issues);
  return parsed.data;
}

/** Answers 405 with the allowed methods for a known path, and 404 for an unknown path. */
function unknownRoute(c: Context, routes: readonly RestRoute[], headers: Record<string, string>): Response {
  const path = new URL(c.req.url).pathname.replace(/^\/v2/, "");
  const methods = routes
    .filter((route) => new RegExp(`^${route.path.replace(/\{\w+\}/g, "[^/]+")}$`).test(path))
    .map(({ method }) => method);
  if (methods.length === 0) return problemResponse(new RestProblem(404, "resource not found"), headers);
  const problem = new RestProblem(405, "The requested method is not allowed for this path.");
  return problemResponse(problem, { ...headers, Allow: [...new Set(methods)].join(", ") });
}

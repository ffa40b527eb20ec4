import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Events } from "../../support/events";
import { type Listening, PortInUseError, readBody, serve } from "../../support/http";
import { isObject } from "../../support/protocol/value";
import { wildcard } from "../iam/policy";
import { functionName, permission } from "../lambda/resources";
import type { AwsAccount, AwsResource } from "../support/account";
import type { Effects } from "../support/resource";
import { type Properties, texts } from "../support/values";
import { Cors } from "./cors";
import { JwtAuthorizer, type JwtContext } from "./jwt";
import { toEvent, toResponse } from "./payload";
import { HTTP_API, invokeUrl } from "./resources";
import { matchRoute } from "./route";
import { Throttle } from "./throttle";

const MAX_PAYLOAD_BYTES = 10 * 1024 * 1024;
/** Account limits of API Gateway, for stages without limits. */
const ACCOUNT_LIMITS = { ratePerSecond: 10_000, burst: 5_000 };

/** Dependencies of the gateway. */
export interface GatewayOptions {
  account: AwsAccount;
  events: Events;
  /** Port of the first API; the next APIs use the following ports. "free" uses any free ports. */
  apiPorts: number | "free";
  /** Returns the URL of an issuer's JWKS; undefined for an unknown issuer. */
  jwks: (issuer: string) => string | undefined;
  /** Runs a Lambda; rejects when it fails. */
  invoke: (functionArn: string, event: unknown) => Promise<unknown>;
}

/** An error response that the gateway creates without calling the function. `reason` appears only in the log. */
class GatewayError extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
    readonly reason = body,
  ) {
    super(reason);
  }
}

/** Number of ports for APIs: `apiPorts` and the ports directly after it. */
const PORT_COUNT = 100;

/**
 * HTTP APIs of API Gateway. Each API has a listener. The listener reads the API's configuration from the account at
 * every request.
 */
export class HttpApiGateway {
  readonly effects: Effects = {
    create: async (api) => ({ apiEndpoint: (await this.open(api.id)).url }),
    delete: async (api) => {
      await this.listeners.get(api.id)?.close();
      this.listeners.delete(api.id);
    },
  };
  private readonly listeners = new Map<string, Listening>();
  private readonly throttle = new Throttle();
  private readonly authorizer: JwtAuthorizer;

  constructor(private readonly options: GatewayOptions) {
    this.authorizer = new JwtAuthorizer(options.jwks);
  }

  /**
   * Serves every API of the account on the port that it had before. With `apiPorts: "free"` an API moves to another
   * port when its port is in use. With a port range it moves when its port lies outside the range. A move changes the
   * API's endpoint in the account, so the provider's next diff shows the new endpoint.
   *
   * @throws PortInUseError when a port is in use and `apiPorts` is not "free"
   */
  async restore(): Promise<void> {
    for (const api of this.options.account.list(HTTP_API.api)) {
      const port = Number(new URL(String(api.outputs.apiEndpoint)).port);
      if (!this.isInRange(port)) {
        this.move(api, (await this.open(api.id)).url);
        continue;
      }
      try {
        await this.listen(api.id, port);
      } catch (error) {
        if (!(error instanceof PortInUseError) || this.options.apiPorts !== "free") throw error;
        this.move(api, (await this.listen(api.id, 0)).url);
      }
    }
  }

  /** Stops all listeners. */
  async close(): Promise<void> {
    await Promise.all([...this.listeners.values()].map((listener) => listener.close()));
    this.listeners.clear();
  }

  private async open(id: string): Promise<Listening> {
    const { apiPorts } = this.options;
    if (apiPorts === "free") return this.listen(id, 0);
    const used = new Set([...this.listeners.values()].map(({ port }) => port));
    for (let port = apiPorts; port < apiPorts + PORT_COUNT; port++) {
      if (used.has(port)) continue;
      try {
        return await this.listen(id, port);
      } catch (error) {
        if (!(error instanceof PortInUseError)) throw error;
      }
    }
    throw new PortInUseError(apiPorts, "HTTP APIs; the next 99 ports are in use too");
  }

  /** Whether the settings allow this port for an API. */
  private isInRange(port: number): boolean {
    const { apiPorts } = this.options;
    return apiPorts === "free" || (port >= apiPorts && port < apiPorts + PORT_COUNT);
  }

  private move(api: AwsResource, apiEndpoint: string): void {
    const { account } = this.options;
    account.put({ ...api, outputs: { ...api.outputs, apiEndpoint } });
    for (const stage of account.list(HTTP_API.stage).filter(({ scope }) => scope === api.id)) {
      account.put({ ...stage, outputs: { ...stage.outputs, invokeUrl: invokeUrl(apiEndpoint, stage.id) } });
    }
  }

  private async listen(id: string, port: number): Promise<Listening> {
    const fetch = (request: Request, env?: HttpBindings) =>
      this.handle(id, request, env?.incoming.socket.remoteAddress ?? "127.0.0.1");
    const listening = await serve("HTTP API", port, fetch);
    this.listeners.set(id, listening);
    return listening;
  }

  private async handle(id: string, request: Request, sourceIp: string): Promise<Response> {
    const started = performance.now();
    const requestId = randomUUID();
    const api = this.options.account.get(HTTP_API.api, id);
    const cors = Cors.of(api?.outputs.corsConfiguration);
    const { pathname } = new URL(request.url);
    let note = "";
    let response: Response;
    if (cors?.isPreflight(request)) {
      response = cors.preflight(request);
    } else {
      try {
        response = await this.answer(id, request, { sourceIp, requestId });
      } catch (error) {
        const { status, body, reason } =
          error instanceof GatewayError ? error : new GatewayError(500, "Internal Server Error", String(error));
        note = ` (${reason})`;
        response = Response.json({ message: body }, { status });
        if (status === 401) response.headers.set("www-authenticate", "Bearer");
      }
      cors?.apply(request, response);
    }
    response.headers.set("apigw-requestid", requestId);
    this.options.events.emit({
      source: "http-api",
      summary: `${request.method} ${pathname} → ${response.status}${note}`,
      durationMs: performance.now() - started,
    });
    return response;
  }

  /** @throws GatewayError */
  private async answer(
    apiId: string,
    request: Request,
    { sourceIp, requestId }: { sourceIp: string; requestId: string },
  ) {
    const body = await readBody(request, MAX_PAYLOAD_BYTES);
    if (body === undefined) throw new GatewayError(413, "Request Entity Too Large");
    const { pathname } = new URL(request.url);
    const stage = this.stageFor(apiId, pathname);
    const path = stage.id === "$default" ? pathname : pathname.slice(stage.id.length + 1) || "/";
    const found = matchRoute(this.routes(apiId), request.method, path);
    if (found === undefined) throw new GatewayError(404, "Not Found");
    const { resource, routeKey } = found.route;
    if (!this.throttle.admit(`${apiId} ${stage.id} ${routeKey}`, limitsOf(stage, routeKey))) {
      throw new GatewayError(429, "Too Many Requests");
    }
    const jwt = await this.authorize(request, resource);
    const integration = this.integrationOf(resource);
    const { accountId } = this.options.account;
    const stageVariables = isObject(stage.outputs.stageVariables)
      ? (stage.outputs.stageVariables as Record<string, string>)
      : undefined;
    const event = toEvent({
      request,
      body,
      accountId,
      apiId,
      stage: stage.id,
      stageVariables,
      routeKey,
      pathParameters: found.pathParameters,
      jwt,
      sourceIp,
      requestId,
    });
    const target = String(integration.outputs.integrationUri);
    this.requirePermission(
      target,
      `${apiId}/${stage.id}/${routeKey === "$default" ? "$default" : routeKey.replace(/^ANY/, "*").replace(" ", "")}`,
    );
    const result = await withTimeout(
      Number(integration.outputs.timeoutMilliseconds),
      this.options.invoke(target, event),
    );
    const response = toResponse(result);
    if (response === undefined)
      throw new GatewayError(500, "Internal Server Error", "the function returned a malformed result");
    return response;
  }

  private stageFor(apiId: string, pathname: string): AwsResource {
    const { account } = this.options;
    const first = pathname.split("/")[1] ?? "";
    const named = first === "" ? undefined : account.get(HTTP_API.stage, first, apiId);
    const stage = named ?? account.get(HTTP_API.stage, "$default", apiId);
    if (stage === undefined) throw new GatewayError(404, "Not Found", "the API has no stage for this path");
    return stage;
  }

  private routes(apiId: string) {
    return this.options.account
      .list(HTTP_API.route)
      .filter(({ outputs }) => outputs.apiId === apiId)
      .map((resource) => ({ resource, routeKey: String(resource.outputs.routeKey) }));
  }

  private async authorize(request: Request, route: AwsResource): Promise<JwtContext | undefined> {
    const { authorizationType, authorizerId, authorizationScopes } = route.outputs;
    if (authorizationType !== "JWT") return undefined;
    const authorizer = this.options.account.get(HTTP_API.authorizer, String(authorizerId));
    if (authorizer === undefined)
      throw new GatewayError(500, "Internal Server Error", "the route's authorizer does not exist");
    const decision = await this.authorizer.decide(request, authorizer, texts(authorizationScopes));
    if ("jwt" in decision) return decision.jwt;
    throw new GatewayError(decision.status, decision.status === 401 ? "Unauthorized" : "Forbidden", decision.reason);
  }

  private integrationOf(route: AwsResource): AwsResource {
    const id = String(route.outputs.target).replace(/^integrations\//, "");
    const integration = this.options.account.get(HTTP_API.integration, id);
    if (integration === undefined) throw new GatewayError(500, "Internal Server Error", "the route has no integration");
    return integration;
  }

  /** @throws GatewayError when no permission of the Lambda covers this API, stage and route */
  private requirePermission(target: string, resource: string): void {
    const { account } = this.options;
    const name = functionName(target);
    const arn = account.arn("execute-api", resource);
    const allowed = account
      .list(permission.type)
      .map(({ outputs }) => outputs)
      .some(
        (one) =>
          functionName(String(one.function)) === name &&
          /^lambda:(InvokeFunction|\*)$/.test(String(one.action)) &&
          one.principal === "apigateway.amazonaws.com" &&
          (one.sourceArn === undefined || wildcard(String(one.sourceArn)).test(arn)),
      );
    if (!allowed)
      throw new GatewayError(500, "Internal Server Error", `API Gateway has no permission to invoke ${name}`);
  }
}

/** Limits of the route, else of the stage, else of the account. */
function limitsOf(stage: AwsResource, routeKey: string) {
  const { routeSettings, defaultRouteSettings } = stage.outputs;
  const forRoute = Array.isArray(routeSettings)
    ? routeSettings.find((one: Properties) => one.routeKey === routeKey)
    : undefined;
  const settings = forRoute ?? defaultRouteSettings;
  if (!isObject(settings)) return ACCOUNT_LIMITS;
  return { ratePerSecond: Number(settings.throttlingRateLimit), burst: Number(settings.throttlingBurstLimit) };
}

async function withTimeout<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GatewayError(503, "Service Unavailable", "integration timeout")), timeoutMs);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
    // A failure after the timeout must not become an unhandled rejection.
    work.catch(() => undefined);
  }
}

import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Events } from "../../support/events";
import { type Listening, readBody, serve } from "../../support/http";
import { isObject } from "../../support/protocol/value";
import type { MetricSink } from "../cloudwatch/cloudwatch";
import { wildcard } from "../iam/policy";
import { functionName, permission } from "../lambda/resources";
import type { AwsAccount, AwsResource } from "../support/account";
import { Listeners } from "../support/listeners";
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
  /** Port of the first API. Further APIs use the next free ports. "free" uses any free ports. */
  apiPorts: number | "free";
  /** Returns the URL of an issuer's JWKS; undefined for an unknown issuer. */
  jwks: (issuer: string) => string | undefined;
  /** Runs a Lambda; rejects when it fails. */
  invoke: (functionArn: string, event: unknown) => Promise<unknown>;
  /** Receives the metrics of the APIs. Default: nobody. */
  metrics?: MetricSink;
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

/**
 * HTTP APIs of API Gateway. Each API has a listener. The listener reads the API's configuration from the account at
 * every request.
 */
export class HttpApiGateway {
  readonly effects: Effects = {
    create: async (api) => ({ apiEndpoint: (await this.listeners.add(api.id)).url }),
    delete: (api) => this.listeners.remove(api.id),
  };
  private readonly listeners: Listeners;
  private readonly throttle = new Throttle();
  private readonly authorizer: JwtAuthorizer;

  constructor(private readonly options: GatewayOptions) {
    this.authorizer = new JwtAuthorizer(options.jwks);
    this.listeners = new Listeners({
      plural: "HTTP APIs",
      ports: options.apiPorts,
      listen: (id, port) => this.listen(id, port),
    });
  }

  /**
   * Serves every API of the account. An API that cannot keep its port moves to another port. A move changes the API's
   * endpoint in the account, so the provider's next diff shows the new endpoint.
   *
   * @throws PortInUseError when a port is in use and `apiPorts` is not "free"
   */
  async restore(): Promise<void> {
    for (const api of this.options.account.list(HTTP_API.api)) {
      const before = String(api.outputs.apiEndpoint);
      const { url } = await this.listeners.restore(api.id, before);
      if (url !== before) this.move(api, url);
    }
  }

  /** Stops all listeners. */
  close(): Promise<void> {
    return this.listeners.close();
  }

  private move(api: AwsResource, apiEndpoint: string): void {
    const { account } = this.options;
    account.put({ ...api, outputs: { ...api.outputs, apiEndpoint } });
    for (const stage of account.list(HTTP_API.stage).filter(({ scope }) => scope === api.id)) {
      account.put({ ...stage, outputs: { ...stage.outputs, invokeUrl: invokeUrl(apiEndpoint, stage.id) } });
    }
  }

  private listen(id: string, port: number): Promise<Listening> {
    const fetch = (request: Request, env?: HttpBindings) =>
      this.handle(id, request, env?.incoming.socket.remoteAddress ?? "127.0.0.1");
    return serve("HTTP API", port, fetch);
  }

  private async handle(id: string, request: Request, sourceIp: string): Promise<Response> {
    const started = performance.now();
    const requestId = randomUUID();
    const api = this.options.account.get(HTTP_API.api, id);
    const cors = Cors.of(api?.outputs.corsConfiguration);
    const { pathname } = new URL(request.url);
    let note = "";
    let response: Response;
    if (!this.isServed(api, request)) {
      note = " (the default endpoint is disabled)";
      response = Response.json({ message: "Not Found" }, { status: 404 });
    } else if (cors?.isPreflight(request)) {
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
    this.measure(id, response.status, performance.now() - started);
    response.headers.set("apigw-requestid", requestId);
    this.options.events.emit({
      source: "http-api",
      summary: `${request.method} ${pathname} → ${response.status}${note}`,
      durationMs: performance.now() - started,
    });
    return response;
  }

  /**
   * Whether the API answers requests for a host name. The API answers for its domain names, and for its endpoint unless
   * the endpoint is disabled. On this machine, a domain name ends with `.localhost`, because local services accept no
   * other host.
   */
  private isServed(api: AwsResource | undefined, request: Request): boolean {
    if (api?.outputs.disableExecuteApiEndpoint !== true) return true;
    const { hostname } = new URL(request.url);
    return this.options.account
      .list(HTTP_API.mapping)
      .some(({ outputs }) => outputs.apiId === api.id && `${outputs.domainName}.localhost` === hostname);
  }

  /** Publishes the metrics of a request, as API Gateway does. */
  private measure(ApiId: string, status: number, Latency: number): void {
    const values = { Count: 1, "4xx": Number(status >= 400 && status < 500), "5xx": Number(status >= 500), Latency };
    for (const [name, value] of Object.entries(values)) {
      this.options.metrics?.put({ namespace: "AWS/ApiGateway", name, dimensions: { ApiId } }, value);
    }
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

/** Limits of the route, the stage or the account. The first that exist in this order apply. */
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
    // If the work fails after the timeout, its rejection must not be unhandled.
    work.catch(() => undefined);
  }
}

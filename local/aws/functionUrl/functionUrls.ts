import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Events } from "../../support/events";
import { type Listening, listen, readBody } from "../../support/http";
import type { MetricSink } from "../cloudwatch/cloudwatch";
import { toEvent, toResponse } from "../httpApi/payload";
import { CollectedResponse } from "../lambda/collectedResponse";
import { FunctionError, type Lambda, ThrottledError } from "../lambda/lambda";
import { functionName, lambdaFunction, permission } from "../lambda/resources";
import type { AwsAccount, AwsResource } from "../support/account";
import { Listeners } from "../support/listeners";
import type { Effects } from "../support/resource";
import { signatureScope } from "../support/signature";
import { FunctionUrlCors } from "./cors";
import { functionUrl } from "./resources";
import {
  AWS_STREAM_LIMITS,
  type HeaderLines,
  StreamedResponse,
  type StreamLimits,
  sendError,
} from "./streamedResponse";

/** Maximum size of the event, and of a response in the mode BUFFERED. */
const MAX_REQUEST_BYTES = 6 * 1024 * 1024;
const MAX_BUFFERED_BYTES = 6_291_556;

const FORBIDDEN =
  "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

/** Dependencies of the function URLs. */
export interface FunctionUrlsOptions {
  account: AwsAccount;
  events: Events;
  /** Port of the first function URL. Further function URLs use the next free ports. "free" uses any free ports. */
  ports: number | "free";
  /** Default: the limits of AWS. */
  limits?: StreamLimits | undefined;
  lambda: Pick<Lambda, "respond">;
  /** Receives the metrics of the function URLs. Default: nobody. */
  metrics?: MetricSink;
}

/** One request and its response. */
interface Exchange {
  request: Request;
  outgoing: ServerResponse;
  sourceIp: string;
  requestId: string;
  /** Headers that Lambda adds to the function's headers. */
  added: HeaderLines;
}

/** An error response that Lambda creates without invoking the function. */
class FunctionUrlError extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly payload: object,
  ) {
    super(type);
  }
}

/**
 * Function URLs of Lambda. Each function URL has a listener that reads its configuration from the account at every
 * request.
 */
export class FunctionUrls {
  readonly effects: Effects = {
    create: async (resource) => {
      this.requireFunction(resource);
      return { functionUrl: `${(await this.listeners.add(resource.id)).url}/` };
    },
    delete: (resource) => this.listeners.remove(resource.id),
  };
  private readonly listeners: Listeners;

  constructor(private readonly options: FunctionUrlsOptions) {
    this.listeners = new Listeners({
      plural: "function URLs",
      ports: options.ports,
      listen: (id, port) => this.listen(id, port),
    });
  }

  /**
   * Serves every function URL of the account. A function URL that cannot keep its port moves to another port. A move
   * changes the URL in the account, so the provider's next diff shows the new URL.
   *
   * @throws PortInUseError when a port is in use and `ports` is not "free"
   */
  async restore(): Promise<void> {
    const { account } = this.options;
    for (const resource of account.list(functionUrl.type)) {
      const { url } = await this.listeners.restore(resource.id, String(resource.outputs.functionUrl));
      account.put({ ...resource, outputs: { ...resource.outputs, functionUrl: `${url}/` } });
    }
  }

  /** Stops all listeners. */
  close(): Promise<void> {
    return this.listeners.close();
  }

  /** @throws Error when the function or the alias does not exist */
  private requireFunction({ outputs }: AwsResource): void {
    const { account } = this.options;
    const name = functionName(String(outputs.functionName));
    const exists = account.get(lambdaFunction.type, name) !== undefined;
    // The local Lambda has no aliases.
    if (exists && (outputs.qualifier === undefined || outputs.qualifier === "$LATEST")) return;
    const qualifier = outputs.qualifier === undefined ? "" : `:${outputs.qualifier}`;
    const arn = account.arn("lambda", `function:${name}${qualifier}`);
    throw new Error(`ResourceNotFoundException: Function not found: ${arn}`);
  }

  private listen(id: string, port: number): Promise<Listening> {
    const fetch = async (request: Request, { incoming, outgoing }: HttpBindings | Http2Bindings) => {
      await this.handle(id, request, outgoing as ServerResponse, incoming.socket.remoteAddress ?? "127.0.0.1");
      return RESPONSE_ALREADY_SENT;
    };
    return listen("function URL", port, getRequestListener(fetch));
  }

  private async handle(id: string, request: Request, outgoing: ServerResponse, sourceIp: string): Promise<void> {
    const started = performance.now();
    const requestId = randomUUID();
    const url = this.options.account.get(functionUrl.type, id);
    const cors = FunctionUrlCors.of(url?.outputs.cors);
    const added: HeaderLines = [["x-amzn-requestid", requestId], ...(cors?.responseHeaders(request) ?? [])];
    if (cors !== undefined && FunctionUrlCors.isPreflight(request)) {
      send(outgoing, 200, [["x-amzn-requestid", requestId], ...cors.preflightHeaders(request)], "");
    } else {
      await this.answer(url, { request, outgoing, sourceIp, requestId, added });
    }
    this.measure(url, outgoing.statusCode);
    this.options.events.emit({
      source: "lambda",
      summary: `${id} ${request.method} ${new URL(request.url).pathname} → ${outgoing.statusCode}`,
      durationMs: performance.now() - started,
    });
  }

  /** Publishes the metrics of a request, as Lambda does for function URLs. */
  private measure(url: AwsResource | undefined, status: number): void {
    if (url === undefined) return;
    const dimensions = { FunctionName: functionName(String(url.outputs.functionName)) };
    const values = {
      UrlRequestCount: 1,
      Url4xxCount: Number(status >= 400 && status < 500),
      Url5xxCount: Number(status >= 500),
    };
    for (const [name, value] of Object.entries(values)) {
      this.options.metrics?.put({ namespace: "AWS/Lambda", name, dimensions }, value);
    }
  }

  /** Never rejects. */
  private async answer(url: AwsResource | undefined, exchange: Exchange): Promise<void> {
    const { outgoing, added } = exchange;
    try {
      if (url === undefined) throw forbidden();
      this.authorize(url, exchange.request);
      await this.respond(url, exchange, await this.event(url, exchange));
    } catch (error) {
      if (error instanceof ThrottledError) {
        sendJson(outgoing, 429, [["x-amzn-errortype", "TooManyRequestsException"], ...added], error.payload);
      } else if (error instanceof FunctionUrlError) {
        sendJson(outgoing, error.status, [["x-amzn-errortype", error.type], ...added], error.payload);
      } else if (outgoing.headersSent) {
        outgoing.destroy();
      } else {
        sendError(outgoing, added);
      }
    }
  }

  /**
   * Throws unless the request may invoke the function.
   *
   * - A public URL needs two permissions with the principal `*`. AWS requires this in new accounts since October 2025,
   *   and in all accounts since November 2026.
   * - A URL with the type AWS_IAM needs a signature. The signature is not verified, because the local cloud has no
   *   users.
   *
   * @throws FunctionUrlError
   */
  private authorize({ outputs }: AwsResource, request: Request): void {
    const { account } = this.options;
    if (outputs.authorizationType === "AWS_IAM") {
      const scope = signatureScope(request.headers.get("authorization") ?? "");
      if (scope?.service !== "lambda" || scope.region !== account.region) throw forbidden();
      return;
    }
    const name = functionName(String(outputs.functionName));
    const granted = account
      .list(permission.type)
      .map((one) => one.outputs)
      .filter((one) => functionName(String(one.function)) === name && one.qualifier === outputs.qualifier)
      .filter((one) => one.principal === "*" && one.sourceArn === undefined && one.sourceAccount === undefined)
      .filter((one) => one.functionUrlAuthType !== "AWS_IAM")
      .map(({ action }) => action);
    const needed = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"];
    if (!needed.every((action) => granted.includes(action) || granted.includes("lambda:*"))) throw forbidden();
  }

  /**
   * Builds the event as JSON.
   *
   * @throws FunctionUrlError when the event is too large
   */
  private async event({ outputs }: AwsResource, { request, sourceIp, requestId }: Exchange): Promise<string> {
    const body = await readBody(request, MAX_REQUEST_BYTES);
    if (body === undefined) throw tooLarge();
    const event = toEvent({
      request,
      body,
      accountId: outputs.authorizationType === "NONE" ? "anonymous" : this.options.account.accountId,
      apiId: String(outputs.urlId),
      stage: "$default",
      stageVariables: undefined,
      routeKey: "$default",
      pathParameters: {},
      jwt: undefined,
      sourceIp,
      requestId,
    });
    const json = JSON.stringify(event);
    if (Buffer.byteLength(json) > MAX_REQUEST_BYTES) throw tooLarge();
    return json;
  }

  /** @throws ThrottledError; Error when the function does not exist */
  private async respond(url: AwsResource, exchange: Exchange, event: string): Promise<void> {
    const { outgoing, requestId, added } = exchange;
    const { lambda } = this.options;
    const name = String(url.outputs.functionName);
    if (url.outputs.invokeMode !== "RESPONSE_STREAM") {
      const collected = new CollectedResponse();
      const json = await lambda.respond(name, event, requestId, collected);
      return sendResult(exchange, json === undefined ? collected.result : JSON.parse(json));
    }
    const stream = new StreamedResponse({
      outgoing,
      added,
      limits: this.options.limits ?? AWS_STREAM_LIMITS,
      deadlineMs: performance.now() + this.timeoutMs(name),
    });
    try {
      const json = await lambda.respond(name, event, requestId, stream);
      // Without a stream, Lambda does not read status and headers from the result. The whole result is the body.
      if (json !== undefined) sendJson(outgoing, 200, added, JSON.parse(json));
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      stream.fail();
    }
  }

  private timeoutMs(reference: string): number {
    const resource = this.options.account.get(lambdaFunction.type, functionName(reference));
    return Number(resource?.outputs.timeout) * 1000;
  }
}

async function sendResult({ outgoing, added }: Exchange, result: unknown): Promise<void> {
  const response = toResponse(result);
  const body = response === undefined ? undefined : Buffer.from(await response.arrayBuffer());
  if (response === undefined || body === undefined || body.byteLength > MAX_BUFFERED_BYTES) {
    return sendError(outgoing, added);
  }
  send(outgoing, response.status, [...response.headers, ...added], body);
}

function sendJson(outgoing: ServerResponse, status: number, headers: HeaderLines, payload: unknown): void {
  send(outgoing, status, [["content-type", "application/json"], ...headers], JSON.stringify(payload));
}

function send(outgoing: ServerResponse, status: number, headers: HeaderLines, body: string | Buffer): void {
  const length: HeaderLines =
    status === 204 || status === 304 ? [] : [["content-length", String(Buffer.byteLength(body))]];
  outgoing.writeHead(status, [...headers, ...length].flat()).end(body);
}

function forbidden(): FunctionUrlError {
  return new FunctionUrlError(403, "AccessDeniedException", { Message: FORBIDDEN });
}

function tooLarge(): FunctionUrlError {
  const message = `Request must be smaller than ${MAX_REQUEST_BYTES} bytes for the InvokeFunction operation`;
  return new FunctionUrlError(413, "RequestEntityTooLargeException", { Message: message });
}

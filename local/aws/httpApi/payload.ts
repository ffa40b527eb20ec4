import { isObject } from "../../support/protocol/value";
import type { JwtContext } from "./jwt";

/** Parts of a Lambda event. */
export interface EventSource {
  request: Request;
  body: Buffer;
  accountId: string;
  apiId: string;
  stage: string;
  stageVariables: Record<string, string> | undefined;
  routeKey: string;
  pathParameters: Record<string, string>;
  /** Undefined on a route without an authorizer. */
  jwt: JwtContext | undefined;
  sourceIp: string;
  requestId: string;
}

/** Builds an event of payload format 2.0. As in AWS, empty members are absent. */
export function toEvent(source: EventSource): Record<string, unknown> {
  const { request, body, apiId, routeKey } = source;
  const url = new URL(request.url);
  const headers = Object.fromEntries(request.headers);
  const { cookie, ...others } = headers;
  const query = queryOf(url);
  const plain = isText(headers["content-type"]);
  const now = new Date();
  return {
    version: "2.0",
    routeKey,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    ...(cookie === undefined ? {} : { cookies: cookie.split(/;\s*/) }),
    headers: others,
    ...(Object.keys(query).length === 0 ? {} : { queryStringParameters: query }),
    requestContext: {
      accountId: source.accountId,
      apiId,
      ...(source.jwt === undefined ? {} : { authorizer: { jwt: source.jwt } }),
      domainName: url.host,
      domainPrefix: apiId,
      http: {
        method: request.method,
        path: url.pathname,
        protocol: "HTTP/1.1",
        sourceIp: source.sourceIp,
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: source.requestId,
      routeKey,
      stage: source.stage,
      time: clfTime(now),
      timeEpoch: now.getTime(),
    },
    ...(body.length === 0 ? {} : { body: body.toString(plain ? "utf8" : "base64") }),
    ...(Object.keys(source.pathParameters).length === 0 ? {} : { pathParameters: source.pathParameters }),
    isBase64Encoded: body.length > 0 && !plain,
    ...(source.stageVariables === undefined ? {} : { stageVariables: source.stageVariables }),
  };
}

/**
 * Converts the result of a handler to an HTTP response. A result without `statusCode` becomes a 200 with the result as
 * JSON.
 *
 * @returns undefined when `statusCode` or `body` has the wrong type. API Gateway then returns a 500
 */
export function toResponse(result: unknown): Response | undefined {
  if (!isObject(result) || result.statusCode === undefined) {
    const body = typeof result === "string" ? result : JSON.stringify(result);
    return new Response(body, { headers: { "content-type": "application/json" } });
  }
  const status = Number(result.statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599) return undefined;
  if (result.body !== undefined && result.body !== null && typeof result.body !== "string") return undefined;
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8" });
  for (const [name, value] of Object.entries(isObject(result.headers) ? result.headers : {}))
    headers.set(name, String(value));
  for (const cookie of Array.isArray(result.cookies) ? result.cookies : [])
    headers.append("set-cookie", String(cookie));
  const body = result.isBase64Encoded === true ? Buffer.from(result.body ?? "", "base64") : (result.body ?? "");
  return new Response([204, 304].includes(status) ? null : body, { status, headers });
}

function queryOf(url: URL): Record<string, string> {
  const names = new Set(url.searchParams.keys());
  return Object.fromEntries([...names].map((name) => [name, url.searchParams.getAll(name).join(",")]));
}

/** Whether API Gateway passes a body of this content type to the function as text, not as base64. */
function isText(contentType = "text/plain"): boolean {
  return /^(text\/|application\/(json|javascript|xml)\b|application\/[\w.-]+\+(json|xml)\b)/i.test(contentType);
}

/** Time in the common log format: `22/Nov/2026:13:26:20 +0000`. */
function clfTime(date: Date): string {
  const [, day, month, year, time] = date.toUTCString().split(/[ ,]+/);
  return `${day}/${month}/${year}:${time} +0000`;
}

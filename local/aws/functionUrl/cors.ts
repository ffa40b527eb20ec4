import { isObject } from "../../support/protocol/value";
import { texts } from "../support/values";
import type { HeaderLines } from "./streamedResponse";

/**
 * CORS configuration of a function URL. If the function also sends CORS headers, the response has both. API Gateway
 * would replace the function's headers. A browser rejects a response with two `access-control-allow-origin` headers
 * (powertools-lambda-python#4163).
 */
export class FunctionUrlCors {
  private constructor(private readonly configuration: Record<string, unknown>) {}

  /**
   * @returns undefined without a CORS configuration. Preflights then reach the function
   */
  static of(configuration: unknown): FunctionUrlCors | undefined {
    return isObject(configuration) ? new FunctionUrlCors(configuration) : undefined;
  }

  /** Whether a request is a preflight. Lambda answers it without invoking the function. */
  static isPreflight(request: Request): boolean {
    return (
      request.method === "OPTIONS" &&
      request.headers.has("origin") &&
      request.headers.has("access-control-request-method")
    );
  }

  /** Headers of the response to a preflight. Empty when the origin is not allowed. */
  preflightHeaders(request: Request): HeaderLines {
    const { allowMethods, allowHeaders, maxAge } = this.configuration;
    const headers = this.originHeaders(request);
    if (headers.length === 0) return headers;
    addList(headers, "access-control-allow-methods", allowMethods);
    addList(headers, "access-control-allow-headers", allowHeaders);
    if (maxAge !== undefined) headers.push(["access-control-max-age", String(maxAge)]);
    return headers;
  }

  /** Headers that Lambda adds to every other response. Empty when the origin is not allowed. */
  responseHeaders(request: Request): HeaderLines {
    const headers = this.originHeaders(request);
    if (headers.length > 0) addList(headers, "access-control-expose-headers", this.configuration.exposeHeaders);
    return headers;
  }

  private originHeaders(request: Request): HeaderLines {
    const { allowOrigins, allowCredentials } = this.configuration;
    const origin = request.headers.get("origin");
    const allowed = texts(allowOrigins);
    if (origin === null || !(allowed.includes("*") || allowed.includes(origin))) return [];
    // Even for `*`, Lambda returns the request's origin: see the error message in powertools-lambda-python#4163.
    const headers: HeaderLines = [
      ["access-control-allow-origin", origin],
      ["vary", "Origin"],
    ];
    if (allowCredentials === true) headers.push(["access-control-allow-credentials", "true"]);
    return headers;
  }
}

function addList(headers: HeaderLines, name: string, values: unknown): void {
  const list = texts(values);
  if (list.length > 0) headers.push([name, list.join(",")]);
}

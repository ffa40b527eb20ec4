import { isObject } from "../../support/protocol/value";
import { texts } from "../support/values";

/**
 * CORS configuration of an API. API Gateway replaces the CORS headers of the functions with the CORS headers of the
 * API.
 */
export class Cors {
  private constructor(
    private readonly origins: string[],
    private readonly methods: string[],
    private readonly headers: string[],
    private readonly exposed: string[],
    private readonly credentials: boolean,
    private readonly maxAgeSeconds: number | undefined,
  ) {}

  /**
   * @returns undefined when the API has no CORS configuration. Preflights are then routed like other requests
   */
  static of(configuration: unknown): Cors | undefined {
    if (!isObject(configuration)) return undefined;
    const { allowOrigins, allowMethods, allowHeaders, exposeHeaders, allowCredentials, maxAge } = configuration;
    return new Cors(
      texts(allowOrigins),
      texts(allowMethods),
      texts(allowHeaders),
      texts(exposeHeaders),
      allowCredentials === true,
      typeof maxAge === "number" ? maxAge : undefined,
    );
  }

  /** Whether a request is a preflight. A preflight needs no route, because the gateway itself responds to it. */
  isPreflight(request: Request): boolean {
    return (
      request.method === "OPTIONS" &&
      request.headers.has("origin") &&
      request.headers.has("access-control-request-method")
    );
  }

  /**
   * Returns the response to a preflight. It has no CORS headers when the origin is not allowed, so the browser sends no
   * request.
   */
  preflight(request: Request): Response {
    const headers = this.originHeaders(request);
    if (headers.has("access-control-allow-origin")) {
      if (this.methods.length > 0) headers.set("access-control-allow-methods", this.methods.join(","));
      if (this.headers.length > 0) headers.set("access-control-allow-headers", this.headers.join(","));
      if (this.maxAgeSeconds !== undefined) headers.set("access-control-max-age", String(this.maxAgeSeconds));
    }
    return new Response(null, { status: 204, headers });
  }

  /** Replaces the CORS headers of a response with the CORS headers of the API. */
  apply(request: Request, response: Response): Response {
    for (const name of [...response.headers.keys()]) {
      if (name.startsWith("access-control-")) response.headers.delete(name);
    }
    for (const [name, value] of this.originHeaders(request)) response.headers.append(name, value);
    if (response.headers.has("access-control-allow-origin") && this.exposed.length > 0) {
      response.headers.set("access-control-expose-headers", this.exposed.join(","));
    }
    return response;
  }

  private originHeaders(request: Request): Headers {
    const headers = new Headers();
    const origin = request.headers.get("origin");
    if (origin === null) return headers;
    const any = this.origins.includes("*");
    if (!any && !this.origins.some((allowed) => matches(allowed, origin))) return headers;
    headers.set("access-control-allow-origin", any ? "*" : origin);
    if (!any) headers.set("vary", "origin");
    if (this.credentials) headers.set("access-control-allow-credentials", "true");
    return headers;
  }
}

/** Whether an origin is allowed. `https://*` and `http://*` allow every origin of that scheme. */
function matches(allowed: string, origin: string): boolean {
  return allowed.endsWith("://*")
    ? origin.startsWith(allowed.slice(0, -1))
    : allowed.toLowerCase() === origin.toLowerCase();
}

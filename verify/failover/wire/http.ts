import type { IncomingMessage, ServerResponse } from "node:http";

/** Response with a JSON body. */
export interface JsonResponse {
  status: number;
  headers?: Record<string, string>;
  body: unknown;
}

/** Sends a JSON response. */
export function sendJson(response: ServerResponse, { status, headers, body }: JsonResponse): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

/** Reads the JSON body of a request. Returns undefined when the body is not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Header `retry-after` in whole seconds. The header is not scaled, but the relay under test divides its wait by the
 * scale.
 */
export function retryAfter(ms: number | undefined): Record<string, string> {
  return ms === undefined ? {} : { "retry-after": String(Math.ceil(ms / 1000)) };
}

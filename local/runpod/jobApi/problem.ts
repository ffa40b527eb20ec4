import { STATUS_CODES } from "node:http";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/**
 * Creates an error response of the job API. RunPod's format is known for only one error, a body that is too large. The
 * double uses this format for every error.
 */
export function problem(c: Context, status: ContentfulStatusCode, detail: string) {
  return c.json({ status, title: STATUS_CODES[status] ?? "Error", detail }, status);
}

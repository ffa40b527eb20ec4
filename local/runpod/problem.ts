import { STATUS_CODES } from "node:http";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** An error of the job API. The shape is the one seen for a body that is too large; the others are not documented. */
export function problem(c: Context, status: ContentfulStatusCode, detail: string) {
  return c.json({ status, title: STATUS_CODES[status] ?? "Error", detail }, status);
}

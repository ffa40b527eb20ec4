import { STATUS_CODES } from "node:http";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** Error answer of the job API. RunPod's shape is known for a too large body only; the other errors use the same. */
export function problem(c: Context, status: ContentfulStatusCode, detail: string) {
  return c.json({ status, title: STATUS_CODES[status] ?? "Error", detail }, status);
}

import * as z from "zod";

/** Path of the switches at the doubles of Stripe and DynamoDB. The real services have no such path. */
export const SWITCHES_PATH = "/admin/switches";

/** Answer to a request for the switches, as JSON. */
export interface SwitchesAnswer {
  status: 200 | 400 | 405;
  body: object;
}

/**
 * Answers a request of another process for a double's switches. `GET` reads the switches. `PATCH` changes the named
 * switches. A web page cannot send `PATCH`, because the doubles do not allow it in a preflight.
 *
 * @param body JSON text of the changes
 */
export function answerSwitches<S extends z.ZodObject>(
  schema: S,
  switches: z.output<S>,
  { method, body }: { method: string; body: string },
): SwitchesAnswer {
  if (method === "GET") return { status: 200, body: switches };
  if (method !== "PATCH") return { status: 405, body: { error: { message: "Allowed: GET, PATCH." } } };
  const { data, error } = schema.partial().safeParse(parse(body));
  if (error) return { status: 400, body: { error: { message: z.prettifyError(error) } } };
  return { status: 200, body: Object.assign(switches, data) };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

import { z } from "zod";
import { expand } from "./parameters";

/** One API call. */
export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** Path below `/v1` with ids as `:id`. */
  path: string;
  params: z.ZodType;
  answer(params: never, id: string): object;
}

/** Creates a route with a schema for its parameters. */
export function route<S extends z.ZodType>(
  call: `${Route["method"]} ${string}`,
  params: S,
  answer: (params: z.output<S>, id: string) => object,
): Route {
  const [method = "GET", path = ""] = call.split(" ");
  return { method: method as Route["method"], path, params, answer: answer as Route["answer"] };
}

/** Schema of a call that accepts only `expand`. */
export const nothing = z.strictObject({ expand });

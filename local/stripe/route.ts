import { z } from "zod";
import { expand } from "./kinds";

/** One call of the API. */
export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** Below `/v1`, ids written `:id`. */
  path: string;
  params: z.ZodType;
  answer(params: never, id: string): object;
}

/** A call whose parameters are checked before it is answered. */
export function route<S extends z.ZodType>(
  call: `${Route["method"]} ${string}`,
  params: S,
  answer: (params: z.output<S>, id: string) => object,
): Route {
  const [method = "GET", path = ""] = call.split(" ");
  return { method: method as Route["method"], path, params, answer: answer as Route["answer"] };
}

/** The parameters of a call that has none of its own. */
export const nothing = z.strictObject({ expand });

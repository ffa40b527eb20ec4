import type * as z from "zod/mini";
import { ApiError, type ErrorBody } from "../../../contract/errors";
import { type StreamItem, WorkerInput, type WorkerOutput } from "../../../contract/worker";

/** How a job is asked and answered: in our own shape, or in another that is a translation of it. */
export interface Dialect {
  /** What is asked in our own shape, or the answer where no model is needed. @throws ApiError naming the field */
  parse(): { input: WorkerInput } | { answer: unknown };
  /** The item for a piece of the reply; undefined where pieces are not wanted. */
  delta(text: string): unknown;
  /** The item for the end of the reply. */
  done(reply: WorkerOutput): unknown;
  /** The items before a failed job's end, and its error. */
  failed(error: ApiError): { items: unknown[]; body: ErrorBody };
}

/** The product's own shapes. */
export function ownDialect(value: unknown): Dialect {
  let streams = true;
  return {
    parse() {
      const input = parse(WorkerInput, value, "input");
      streams = input.stream !== false;
      return { input };
    },
    delta: (delta): StreamItem | undefined => (streams ? { delta } : undefined),
    done: (reply): StreamItem => ({ done: true, ...reply }),
    failed: ({ body }) => ({ items: [], body }),
  };
}

/** A value as the contract has it. `root` is its name. @throws ApiError `invalid_input` or `too_long` naming the field */
export function parse<T extends z.ZodMiniType>(type: T, value: unknown, root: string): z.infer<T> {
  const parsed = type.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues);
  const path = [...(issue?.path ?? []), ...(issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [])];
  const field = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  const tooLong = issue?.code === "too_big" && issue.origin !== "number" && issue.origin !== "int";
  throw new ApiError(tooLong ? "too_long" : "invalid_input", `${root}${field}: ${issue?.message ?? "is not valid"}.`);
}

/** @throws ApiError `invalid_input` */
export function refuse(field: string, text: string): never {
  throw new ApiError("invalid_input", `${field}: ${text}`);
}

type Issue = z.core.$ZodIssue;

/** What is wrong first; in a choice of shapes, with the one that a value of its type can only have meant. */
function deepest([issue]: Issue[]): Issue | undefined {
  if (issue?.code !== "invalid_union") return issue;
  const meant = issue.errors.find(([first]) => first?.code !== "invalid_type" || first.path.length > 0);
  const inner = meant && deepest(meant);
  return inner ? ({ ...inner, path: [...issue.path, ...inner.path] } as Issue) : issue;
}

import { setTimeout as sleep } from "node:timers/promises";
import { GraphQLError, Kind, parse } from "graphql";
import type { Events } from "../support/events";
import { CutConnection } from "../support/http";
import { type Fault, matches, type Switches } from "./account/switches";
import { problemResponse, RestProblem } from "./rest/problem";

/** RunPod's general error text, which names no cause (runpod-python #239). */
export const TRY_AGAIN = "Something went wrong. Please try again later or contact support.";

/**
 * Serves a request and applies the first matching fault of the switches.
 *
 * @throws CutConnection for a fault that cuts the connection
 */
export async function serveWithFaults(
  switches: Switches,
  events: Events,
  request: Request,
  serve: (request: Request) => Response | Promise<Response>,
): Promise<Response> {
  if (switches.faults.length === 0) return serve(request);
  const names = await callNames(request);
  const fault = takeFault(switches, names);
  if (!fault) return serve(request);
  events.emit({ source: "runpod", summary: `${names.join(" ")} → fault: ${describe(fault)}` });
  if (fault.delayMs > 0) await sleep(fault.delayMs);
  if (fault.answer === "pass") return serve(request);
  if (typeof fault.answer === "object" && "nullField" in fault.answer)
    return withNulls(await serve(request), fault.answer.nullField);
  if (fault.done && fault.landsAfterMs) await landLater(request, fault.landsAfterMs, serve);
  else if (fault.done) await (await serve(request)).body?.cancel();
  if (fault.answer === "cut") throw new CutConnection();
  return failure(fault.answer, new URL(request.url).pathname, fault.retryAfterSeconds);
}

/** Executes a call some time after the double has broken the connection. */
async function landLater(
  request: Request,
  afterMs: number,
  serve: (request: Request) => Response | Promise<Response>,
): Promise<void> {
  const { url, method, headers } = request;
  const copy = new Request(url, { method, headers, body: await request.text() });
  setTimeout(async () => (await serve(copy)).body?.cancel(), afterMs).unref();
}

/** Replaces the value of every field of this name with `null`. */
async function withNulls(response: Response, field: string): Promise<Response> {
  const body: unknown = JSON.parse(await response.text(), (name, value) => (name === field ? null : value));
  return Response.json(body, { status: response.status });
}

/**
 * Returns the first matching fault that has already skipped enough calls, and counts one use of this fault. Any other
 * matching fault only counts the skipped call.
 */
function takeFault({ faults }: Switches, names: string[]): Fault | undefined {
  const fault = faults
    .filter(({ on }) => names.some((name) => matches([on], name)))
    .find((each) => {
      each.skip -= 1;
      return each.skip < 0;
    });
  if (!fault) return undefined;
  fault.skip = 0;
  fault.times -= 1;
  if (fault.times <= 0) faults.splice(faults.indexOf(fault), 1);
  return fault;
}

/** Names of a request that a fault's pattern can match: method and path, and the root fields of GraphQL. */
async function callNames(request: Request): Promise<string[]> {
  const { pathname } = new URL(request.url);
  const name = `${request.method} ${pathname}`;
  return pathname === "/graphql" ? [name, ...rootFields(await request.clone().text())] : [name];
}

function rootFields(body: string): string[] {
  try {
    return fieldNames(JSON.parse(body).query);
  } catch {
    return [];
  }
}

/** Root field names of a GraphQL document. */
export function fieldNames(query: string): string[] {
  try {
    return parse(query).definitions.flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION
        ? definition.selectionSet.selections.map((field) => (field.kind === Kind.FIELD ? field.name.value : field.kind))
        : [],
    );
  } catch (error) {
    if (error instanceof GraphQLError) return ["(syntax error)"];
    throw error;
  }
}

/** Text of a fault for the event log. */
function describe({ answer, done, delayMs }: Fault): string {
  if (answer === "pass") return `delayed by ${delayMs} ms`;
  if (typeof answer === "object" && "nullField" in answer) return `${answer.nullField} is null`;
  const text = typeof answer === "object" ? `"${answer.message}"` : String(answer);
  return done ? `${text}, although the double executes the call` : text;
}

/** Error response of a fault, in the format of the called API. */
function failure(
  answer: Exclude<Fault["answer"], "cut" | "pass" | { nullField: string }>,
  path: string,
  retryAfterSeconds = 1,
): Response {
  const isGraphql = path === "/graphql";
  if (typeof answer === "object")
    return isGraphql
      ? graphqlError(200, answer.message, "RUNPOD")
      : problemResponse(new RestProblem(400, answer.message));
  const status = answer === "again" ? (isGraphql ? 200 : 500) : answer;
  const headers: Record<string, string> = status === 429 ? { "Retry-After": String(retryAfterSeconds) } : {};
  const text = status === 429 ? "rate limit exceeded" : TRY_AGAIN;
  return isGraphql
    ? graphqlError(status, text, "INTERNAL_SERVER_ERROR", headers)
    : problemResponse(new RestProblem(status, text), headers);
}

function graphqlError(status: number, message: string, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ errors: [{ message, extensions: { code } }], data: null }, { status, headers });
}

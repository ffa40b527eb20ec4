import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { type Answer, type OpenApi, type Operation, type Server, serverOf } from "../../contract/openapi/document";

/** An HTTP answer of one of the servers. */
export interface SeenAnswer {
  server: Server;
  method: string;
  /** Path below the server's URL, without the query. */
  path: string;
  status: number;
  contentType: string | undefined;
  body: string;
}

/** A difference between an answer and the document. An unknown operation has the kind `status`. */
export interface Difference {
  kind: "status" | "body";
  /** One line: the request, the status and the difference. */
  text: string;
}

type Problem = Omit<Difference, "text"> & { problem: string };

const ID = "openapi.json";

/**
 * Compares answers with the document: path, status, content type, body and error code.
 *
 * @param document document created with `strict`, so that its schemas refuse undocumented fields
 * @returns a function that lists an answer's differences
 */
export function createAnswerCheck(document: OpenApi): (seen: SeenAnswer) => Difference[] {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, allErrors: false });
  formats.default(ajv);
  ajv.addSchema(document, ID);

  const schemaProblem = (pointer: string, value: unknown): string | undefined => {
    const validate = ajv.getSchema(`${ID}#/${pointer}`);
    if (!validate) throw new Error(`The OpenAPI document has nothing at ${pointer}`);
    if (validate(value)) return undefined;
    const [error] = validate.errors ?? [];
    const detail = error?.params.additionalProperty ?? error?.params.allowedValues ?? "";
    return `${error?.instancePath || "the body"} ${error?.message} ${detail}`.trim();
  };

  return (seen) => {
    if (seen.method === "OPTIONS") return [];
    const found = findOperation(document, seen);
    const place = `${seen.method} ${seen.path} → ${seen.status}`;
    const problems = found ? answerProblems(document, found, seen, schemaProblem) : unknownPathProblems(seen);
    return problems.map(({ kind, problem }) => ({ kind, text: `${place}: ${problem}` }));
  };
}

/** Operation of a request, with the name of its path in the document. */
interface Found {
  path: string;
  method: "get" | "post";
  operation: Operation;
}

function findOperation(document: OpenApi, { server, method, path }: SeenAnswer): Found | undefined {
  for (const [template, item] of Object.entries(document.paths)) {
    if (serverOf(template, item) !== server) continue;
    const pattern = new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
    const key = method.toLowerCase();
    if (!pattern.test(path) || (key !== "get" && key !== "post")) continue;
    const operation = item[key];
    if (operation) return { path: template, method: key, operation };
  }
  return undefined;
}

/** A path outside the document must not exist. RunPod's server has more operations, which RunPod documents. */
function unknownPathProblems({ server, status }: SeenAnswer): Problem[] {
  const isExpected = server === "runpod" || status === 404 || status === 413;
  return isExpected ? [] : [{ kind: "status", problem: "the document has no such operation" }];
}

function answerProblems(
  document: OpenApi,
  { path, method, operation }: Found,
  { status, contentType = "", body }: SeenAnswer,
  schemaProblem: (pointer: string, value: unknown) => string | undefined,
): Problem[] {
  const { answer, pointer } = resolve(document, operation.responses[status], [
    "paths",
    path,
    method,
    "responses",
    String(status),
  ]);
  if (!answer) return [{ kind: "status", problem: "the document has no such status" }];
  const type = contentType.split(";")[0]?.trim() ?? "";
  const media = answer.content?.[type];
  if (!media)
    return [{ kind: "body", problem: `the document has no content type ${type || "(none)"} for this answer` }];
  const schema = [...pointer, "content", type, "schema"].map(escapePointer).join("/");
  return valuesOf(type, body).flatMap((value) => {
    const problem = schemaProblem(schema, value) ?? codeProblem(value, status, Object.keys(media.examples ?? {}));
    return problem ? [{ kind: "body" as const, problem }] : [];
  });
}

/** Follows a reference to a response in the document's components. */
function resolve(document: OpenApi, answer: Answer | { $ref: string } | undefined, pointer: string[]) {
  if (!answer || !("$ref" in answer)) return { answer, pointer };
  const name = answer.$ref.split("/").at(-1) ?? "";
  return { answer: document.components.responses[name], pointer: ["components", "responses", name] };
}

/** The values that the schema describes: the JSON body, the data of each event of a stream, or the text. */
function valuesOf(type: string, body: string): unknown[] {
  if (type === "application/json") return [parseJson(body)];
  if (type !== "text/event-stream") return [body];
  const events = [...body.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => data);
  return events.filter((data) => data !== "[DONE]").map(parseJson);
}

/** Parses JSON. Returns any other text unchanged. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Checks that the document lists the answer's error code. Each error code of a status has an example with the code's
 * name.
 */
function codeProblem(value: unknown, status: number, documented: string[]): string | undefined {
  if (status < 400 || status === 500) return undefined;
  const code = (value as { error?: { code?: unknown } } | null)?.error?.code;
  return typeof code === "string" && !documented.includes(code)
    ? `the document does not list the code ${code} for this answer`
    : undefined;
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}

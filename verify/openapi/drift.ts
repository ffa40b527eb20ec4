import { readFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import ts from "typescript";
import { type ErrorCode, errorCodes } from "../../contract/errors";
import type { OpenApi, Operation } from "../../contract/openapi/document";
import { authorizer, type Front, functionUrl, gateway, runpod } from "../../contract/openapi/responses";
import { type HandlerAnswers, Handlers, type Overlay, type Root } from "./handlers";

/** Committed OpenAPI document, from the repository's root. */
export const documentFile = "contract/openapi.json";

const typesFile = "contract/openapi/generatedTypes.ts";

const inHandler = (name: string): Root => ({ file: "functions/relay/handler.ts", name });
const inRequest = (name: string): Root => ({ file: "functions/relay/request.ts", name });

/** Function that creates the relay's services and passes them to `createRelay`. */
const relayServices: Root = { file: "functions/relay.ts", name: "create" };

/** Code of each operation of the relay, without the functions that choose between the operations. */
const relayOperations: Record<string, { roots: Root[]; except: string[] }> = {
  chat: {
    roots: [
      ...[relayServices, inRequest("readChat"), inHandler("answerChat"), inHandler("refuse")],
      { file: "functions/relay/legacy.ts", name: "answerLegacy" },
    ],
    except: ["createRelay"],
  },
  cancelChat: {
    roots: [
      ...[relayServices, inRequest("readCancel"), inHandler("answer"), inHandler("refuse")],
      { file: "functions/relay/chat.ts", name: "toApiError" },
    ],
    except: ["createRelay", "answerChat", "answerLegacy"],
  },
};

/**
 * Errors that appear in the code of a handler but never in its answers. The value is the reason. The document must not
 * contain these errors.
 */
const neverAnswered: Record<string, Partial<Record<ErrorCode, string>>> = {
  openSession: { too_long: "the body has no field" },
  openGuestSession: {
    too_long: "the body has no field",
    ticket_missing: "without a ticket the caller is a new guest",
    ticket_invalid: "with an invalid ticket the caller is a new guest",
    ticket_expired: "with an old ticket the caller is a new guest",
  },
  openCheckout: { too_long: "the body has no text with a limit" },
  openPortal: { too_long: "the body has no text with a limit" },
  syncPlan: { too_long: "the body has no field" },
  cancelChat: { too_long: "the body has no text with a limit" },
};

/** Statuses that only RunPod's OpenAI route has: 500 for a failed job, 524 for Cloudflare's time limit. */
const openAiStatuses = [500, 524];

/** An operation of the document, and the location of its handler's code. */
interface Place {
  /** Operation with its path and method in the document. */
  path: string;
  method: "get" | "post";
  operation: Operation;
  front: Front;
  /** Code of the handler, and functions that do not belong to it. Undefined for RunPod's own operations. */
  code: { roots: Root[]; except: string[] } | undefined;
  /** File whose `jsonHandler` returns the body. */
  jsonFile: string | undefined;
}

/**
 * Compares the OpenAPI document with the sources of the handlers: statuses, error codes, and the fields of every JSON body
 * with status 200.
 *
 * @param root the repository's folder
 * @param overlay sources that replace files in tests
 * @returns one line for each difference
 */
export async function findDrift(root: string, document: OpenApi, overlay: Overlay = {}): Promise<string[]> {
  const places = placesOf(root, document, overlay);
  const types = astToString(await openapiTS(document as unknown as OpenAPI3));
  const files = new Set(places.flatMap(({ code }) => code?.roots.map(({ file }) => file) ?? []));
  const handlers = new Handlers(root, [...files, typesFile], { ...overlay, [typesFile]: types });
  return places.flatMap((place) => {
    const answers = place.code && handlers.answersOf(place.code.roots, place.code.except);
    const problems = [...statusProblems(place, answers), ...(answers ? bodyProblems(handlers, place, answers) : [])];
    return problems.map((problem) => `${place.method.toUpperCase()} ${place.path}: ${problem}`);
  });
}

/** Finds the code of each operation. `index.ts` names the function of each route. */
function placesOf(root: string, document: OpenApi, overlay: Overlay): Place[] {
  const index = overlay["index.ts"] ?? readFileSync(join(root, "index.ts"), "utf8");
  const functions = new Map(
    [...index.matchAll(/key: "([A-Z]+ \/\S+)", lambda: \w+\.(\w+)/g)].map(([, key = "", name = ""]) => [key, name]),
  );
  return Object.entries(document.paths).flatMap(([path, item]) =>
    (["get", "post"] as const).flatMap((method): Place[] => {
      const operation = item[method];
      if (!operation) return [];
      if (item.servers) {
        const code = relayOperations[operation.operationId];
        return [{ path, method, operation, front: code ? functionUrl : runpod, code, jsonFile: undefined }];
      }
      const name = functions.get(`${method.toUpperCase()} ${path}`);
      if (!name) throw new Error(`${method.toUpperCase()} ${path}: index.ts deploys no such route`);
      const isSignedIn = JSON.stringify(operation).includes('"idToken"');
      const file = `functions/${name}.ts`;
      const front = isSignedIn ? authorizer : gateway;
      const code = { roots: [{ file, name: "create" }], except: [] };
      return [{ path, method, operation, front, code, jsonFile: file }];
    }),
  );
}

function statusProblems({ path, operation, front }: Place, answers: HandlerAnswers | undefined): string[] {
  const documentedCodes = codesOf(operation);
  const excepted = neverAnswered[operation.operationId] ?? {};
  const codes = new Set([...(answers?.codes ?? [])].filter((code) => !(code in excepted)));
  const own = answers
    ? [...answers.statuses, ...[...codes].map((code) => errorCodes[code].status)]
    : [200, ...(path.startsWith("/openai/") ? openAiStatuses : [])];
  const answered = new Set([...own, ...Object.keys(front.answers).map(Number)]);
  const documented = new Set(Object.keys(operation.responses).map(Number));
  return [
    ...missing(answered, documented).map((status) => `answers ${status}, which the document does not have`),
    ...missing(documented, answered).map((status) => `never answers ${status}, which the document has`),
    ...(answers ? missing(codes, documentedCodes) : []).map(
      (code) => `answers the code ${code}, which the document does not have`,
    ),
    ...(answers ? missing(documentedCodes, codes) : []).map(
      (code) => `never answers the code ${code}, which the document has`,
    ),
  ];
}

/** Elements of `all` that are not in `others`. */
function missing<T>(all: Set<T>, others: Set<T>): T[] {
  return [...all].filter((one) => !others.has(one));
}

/** Error codes of an operation. Each code has an example with the code's name. */
function codesOf({ responses }: Operation): Set<ErrorCode> {
  const refusals = Object.entries(responses).filter(([status]) => Number(status) >= 400);
  const names = refusals.flatMap(([, { content = {} }]) =>
    Object.values(content).flatMap(({ examples = {} }) => Object.keys(examples)),
  );
  return new Set(names.filter((name): name is ErrorCode => name in errorCodes));
}

/** Compares the types of a handler's bodies for status 200 with the documented type. */
function bodyProblems(handlers: Handlers, { path, method, jsonFile }: Place, { bodies }: HandlerAnswers): string[] {
  const { checker } = handlers;
  const own = jsonFile ? handlers.jsonBody(jsonFile) : undefined;
  if (jsonFile && !own) return [`${jsonFile} does not call jsonHandler`];
  const documented = documentedBody(handlers, path, method);
  return [...bodies, ...(own ? [own] : [])].flatMap((body) => {
    const unknown = unknownFields(checker, body, documented);
    if (unknown.length > 0)
      return unknown.map((field) => `answers the field ${field}, which the document does not have`);
    if (checker.isTypeAssignableTo(body, documented)) return [];
    return [`answers ${checker.typeToString(body)}, which the document's schema does not allow`];
  });
}

/** `paths[path][method].responses[200].content["application/json"]` of the types generated from the document. */
function documentedBody(handlers: Handlers, path: string, method: string): ts.Type {
  const { checker } = handlers;
  const generated = checker.getSymbolAtLocation(handlers.source(typesFile));
  const paths = generated && checker.tryGetMemberInModuleExports("paths", generated);
  if (!paths) throw new Error('openapi-typescript generated no interface "paths"');
  const names = [path, method, "responses", "200", "content", "application/json"];
  return names.reduce((type, name) => {
    const property = checker.getPropertyOfType(type, name);
    if (!property) throw new Error(`${method.toUpperCase()} ${path}: the document has no JSON body with status 200`);
    return checker.getTypeOfSymbol(property);
  }, checker.getDeclaredTypeOfSymbol(paths));
}

/** Finds the fields of a type that the documented type does not have, at any depth, such as `limits.max_words`. */
function unknownFields(checker: ts.TypeChecker, type: ts.Type, documented: ts.Type, at = ""): string[] {
  const fields = objectsOf(type).flatMap((object) => checker.getPropertiesOfType(object));
  return fields.flatMap((field) => {
    const name = at ? `${at}.${field.name}` : field.name;
    const known = objectsOf(documented).flatMap((object) => checker.getPropertyOfType(object, field.name) ?? []);
    if (known.length === 0) return [name];
    return known.flatMap((one) =>
      unknownFields(checker, checker.getTypeOfSymbol(field), checker.getTypeOfSymbol(one), name),
    );
  });
}

/** Object types of a union, without lists and primitive types. */
function objectsOf(type: ts.Type): ts.Type[] {
  const members = type.isUnion() ? type.types : [type];
  return members.filter((one) => one.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection) && !isList(one));
}

function isList(type: ts.Type): boolean {
  return /^(Readonly)?Array$/.test(type.symbol?.name ?? "");
}

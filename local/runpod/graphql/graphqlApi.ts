import {
  type DocumentNode,
  execute,
  GraphQLError,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
} from "graphql";
import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Events } from "../../support/events";
import { AccountError } from "../account/rules";
import { presentedKey, type RunpodKey } from "../apiKeys";
import { fieldNames, TRY_AGAIN } from "../faults";
import { type Caller, type ResolverOptions, resolvers } from "./resolvers";
import { schema } from "./schema";

const GraphqlRequest = z.object({ query: z.string(), variables: z.record(z.string(), z.unknown()).nullish() });

interface GraphqlOptions extends ResolverOptions {
  keys: RunpodKey[];
  events: Events;
}

/**
 * `POST /graphql` of `api.runpod.io`. Answers 401 to an unknown key, 400 to a document that does not match the schema,
 * and 200 with `errors` when a resolver refuses. Introspection is off, as at RunPod.
 */
export function graphqlApi(options: GraphqlOptions) {
  const app = new Hono();
  app.post("/", async (c) => {
    const caller = callerOf(c, options.keys);
    if (!caller) return c.json({ errors: [{ message: "Unauthorized" }] }, 401);
    const request = GraphqlRequest.safeParse(await c.req.json().catch(() => undefined));
    if (!request.success) return c.json({ errors: [{ message: "The body must be JSON with a query" }] }, 400);

    const result = await answer(request.data, resolvers(options, caller));
    const status = "data" in result ? 200 : 400;
    const names = fieldNames(request.data.query).join(", ");
    // The log contains only the code, because the message may quote a secret of the request.
    const code = result.errors?.[0]?.extensions.code;
    options.events.emit({
      source: "runpod",
      summary: `POST /graphql ${names} → ${status}${code ? ` ${code}` : ""}`,
    });
    const { graphqlSunset } = options.switches;
    return c.json(result, status, graphqlSunset === null ? {} : { Sunset: new Date(graphqlSunset).toUTCString() });
  });
  return app;
}

async function answer({ query, variables }: z.infer<typeof GraphqlRequest>, rootValue: unknown) {
  const refuse = (errors: readonly GraphQLError[]) => ({
    errors: errors.map((error) => ({ ...error.toJSON(), extensions: { code: "GRAPHQL_VALIDATION_FAILED" } })),
  });
  const { document, invalid } = parsed(query);
  if (document === undefined || invalid.length > 0) return refuse(invalid);
  const { data, errors } = await execute({ schema, document, rootValue, variableValues: variables ?? {} });
  if (data === undefined) return refuse(errors ?? []);
  return { ...(errors && { errors: errors.map(publicError) }), data };
}

interface Parsed {
  document: DocumentNode | undefined;
  invalid: readonly GraphQLError[];
}

/** Cache of parsed documents, by text. Clients repeat a few documents with different variables. */
const parsedDocuments = new Map<string, Parsed>();
const MAX_DOCUMENTS = 500;

function parsed(query: string): Parsed {
  const known = parsedDocuments.get(query) ?? parseAndValidate(query);
  if (parsedDocuments.size < MAX_DOCUMENTS) parsedDocuments.set(query, known);
  return known;
}

function parseAndValidate(query: string): Parsed {
  try {
    const document = parse(query);
    return { document, invalid: validate(schema, document, [...specifiedRules, NoSchemaIntrospectionCustomRule]) };
  } catch (error) {
    if (error instanceof GraphQLError) return { document: undefined, invalid: [error] };
    throw error;
  }
}

function publicError(error: GraphQLError) {
  const { message, locations, path } = error.toJSON();
  return error.originalError instanceof AccountError
    ? { message, locations, path, extensions: { code: "RUNPOD" } }
    : { message: TRY_AGAIN, locations, path, extensions: { code: "INTERNAL_SERVER_ERROR" } };
}

/** Kind of the request's key, or undefined for an unknown key. */
function callerOf(c: Context, keys: RunpodKey[]): Caller | undefined {
  const presented = presentedKey(c.req.raw);
  if (!presented) return "anonymous";
  const scope = keys.find(({ key }) => key === presented)?.scope;
  if (!scope) return undefined;
  return typeof scope === "string" ? scope : "restricted";
}

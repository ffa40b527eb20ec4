import { execute, GraphQLError, Kind, NoSchemaIntrospectionCustomRule, parse, specifiedRules, validate } from "graphql";
import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Events } from "../events";
import type { RunpodAccount } from "./account";
import { presentedKey, type RunpodKey } from "./keys";
import type { Endpoint, EndpointInput, TemplateInput } from "./records";
import { AccountError } from "./rules";
import { schema } from "./schema";

const GraphqlRequest = z.object({ query: z.string(), variables: z.record(z.string(), z.unknown()).nullish() });

/** What the resolvers work on. */
export interface GraphqlOptions {
  account: RunpodAccount;
  keys: RunpodKey[];
  /** Ids of an endpoint's workers, for `Endpoint.pods`. */
  workerIds(endpointId: string): string[];
  /** Called after each mutation. */
  changed(): void;
  events: Events;
}

type Caller = "account" | "restricted" | "anonymous";

/**
 * `POST /graphql` of `api.runpod.io`. A key that never existed gets 401, a document that does not fit the schema 400,
 * and what a resolver refuses 200 with `errors`. Introspection is off, as at RunPod.
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
    const names = operations(request.data.query).join(", ");
    // The code only: a message may repeat what was sent.
    const refusal = result.errors?.[0]?.extensions.code;
    options.events.emit({
      source: "runpod",
      summary: `POST /graphql ${names} → ${status}${refusal ? ` ${refusal}` : ""}`,
    });
    return c.json(result, status);
  });
  return app;
}

async function answer({ query, variables }: z.infer<typeof GraphqlRequest>, rootValue: unknown) {
  const refuse = (errors: readonly GraphQLError[]) => ({
    errors: errors.map((error) => ({ ...error.toJSON(), extensions: { code: "GRAPHQL_VALIDATION_FAILED" } })),
  });
  const document = parseOrError(query);
  if (document instanceof GraphQLError) return refuse([document]);
  const invalid = validate(schema, document, [...specifiedRules, NoSchemaIntrospectionCustomRule]);
  if (invalid.length > 0) return refuse(invalid);
  const { data, errors } = await execute({ schema, document, rootValue, variableValues: variables ?? {} });
  if (data === undefined) return refuse(errors ?? []);
  return { ...(errors && { errors: errors.map(publicError) }), data };
}

function parseOrError(query: string) {
  try {
    return parse(query);
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

function publicError(error: GraphQLError) {
  const { message, locations, path } = error.toJSON();
  return error.originalError instanceof AccountError
    ? { message, locations, path, extensions: { code: "RUNPOD" } }
    : {
        message: "Something went wrong. Please try again later or contact support.",
        locations,
        path,
        extensions: { code: "INTERNAL_SERVER_ERROR" },
      };
}

/** Names of the root fields, for the event. */
function operations(query: string): string[] {
  const document = parseOrError(query);
  if (document instanceof GraphQLError) return ["(syntax error)"];
  return document.definitions.flatMap((definition) =>
    definition.kind === Kind.OPERATION_DEFINITION
      ? definition.selectionSet.selections.map((field) => (field.kind === Kind.FIELD ? field.name.value : field.kind))
      : [],
  );
}

function callerOf(c: Context, keys: RunpodKey[]): Caller | undefined {
  const presented = presentedKey(c.req.raw);
  if (!presented) return "anonymous";
  const scope = keys.find(({ key }) => key === presented)?.scope;
  if (!scope) return undefined;
  return scope === "account" ? "account" : "restricted";
}

type Credential = { name: string; username: string; password: string };

function resolvers({ account, changed, workerIds }: GraphqlOptions, caller: Caller) {
  /** Refuses everyone but the account's own key. */
  const allowed =
    <A extends unknown[], R>(resolve: (...args: A) => R) =>
    (...args: A): R => {
      if (caller !== "account") throw new AccountError("Unauthorized");
      return resolve(...args);
    };
  const mutation = <A extends unknown[], R>(resolve: (...args: A) => R) =>
    allowed((...args: A): R => {
      const result = resolve(...args);
      changed();
      return result;
    });
  const endpointView = (endpoint: Endpoint) => ({
    ...endpoint,
    workersStandby: endpoint.workersMax,
    template: () => account.template(endpoint.templateId),
    pods: () => workerIds(endpoint.id).map((id) => ({ id, desiredStatus: "RUNNING" })),
  });
  const nothing = () => null;
  const me = {
    id: account.userId,
    email: "operator@localhost",
    clientBalance: 100,
    currentSpendPerHr: 0,
    endpoints: () => account.endpoints.map(endpointView),
    endpoint: ({ id }: { id: string }) => {
      const endpoint = account.endpoint(id);
      return endpoint ? endpointView(endpoint) : null;
    },
    podTemplates: () => account.templates,
    containerRegistryCreds: () => account.registryAuths,
  };

  return {
    myself: () => (caller === "anonymous" ? null : allowed(() => me)()),
    podTemplate: allowed(({ id }: { id: string }) => account.template(id) ?? null),
    // RunPod's own public templates are not part of an account.
    podTemplates: allowed(({ input }: { input?: { isRunpod?: boolean } }) =>
      input?.isRunpod ? [] : account.templates,
    ),
    saveTemplate: mutation(({ input }: { input?: TemplateInput }) => {
      if (!input) throw new AccountError("input is required");
      return account.saveTemplate(input);
    }),
    deleteTemplate: mutation(({ templateName }: { templateName?: string }) => {
      account.deleteTemplate(templateName ?? "");
      return nothing();
    }),
    saveEndpoint: mutation(({ input }: { input: EndpointInput }) => endpointView(account.saveEndpoint(input))),
    updateEndpointTemplate: mutation(({ input }: { input?: { endpointId: string; templateId: string } }) => {
      if (!input) throw new AccountError("input is required");
      return endpointView(account.updateEndpointTemplate(input.endpointId, input.templateId));
    }),
    deleteEndpoint: mutation(({ id }: { id: string }) => {
      account.deleteEndpoint(id);
      return nothing();
    }),
    saveRegistryAuth: mutation(({ input }: { input: Credential }) => account.saveRegistryAuth(input)),
    updateRegistryAuth: mutation(({ input }: { input: Omit<Credential, "name"> & { id: string } }) =>
      account.updateRegistryAuth(input),
    ),
    deleteRegistryAuth: mutation(({ registryAuthId }: { registryAuthId?: string }) => {
      account.deleteRegistryAuth(registryAuthId ?? "");
      return nothing();
    }),
  };
}

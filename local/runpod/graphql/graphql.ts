import { execute, GraphQLError, NoSchemaIntrospectionCustomRule, parse, specifiedRules, validate } from "graphql";
import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Events } from "../../support/events";
import type { RunpodAccount } from "../account/account";
import { dataCenters, gpuTypes, pools } from "../account/catalog";
import type { Endpoint } from "../account/records";
import { AccountError } from "../account/rules";
import { matches, type Switches } from "../account/switches";
import { fieldNames, TRY_AGAIN } from "../faults";
import { presentedKey, type RunpodKey } from "../keys";
import { type EndpointArguments, endpointInput, given, type TemplateArguments, templateInput } from "./inputs";
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
  switches: Switches;
  events: Events;
}

type Caller = "account" | "read-only" | "restricted" | "anonymous";

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
    const names = fieldNames(request.data.query).join(", ");
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
        message: TRY_AGAIN,
        locations,
        path,
        extensions: { code: "INTERNAL_SERVER_ERROR" },
      };
}

function callerOf(c: Context, keys: RunpodKey[]): Caller | undefined {
  const presented = presentedKey(c.req.raw);
  if (!presented) return "anonymous";
  const scope = keys.find(({ key }) => key === presented)?.scope;
  if (!scope) return undefined;
  return typeof scope === "string" ? scope : "restricted";
}

type Credential = { name: string; username: string; password: string };
type VolumeArguments = { [field in "id" | "name" | "dataCenterId"]?: string | null } & { size?: number | null };

/** Whether there is any of a pool, in RunPod's words. */
function stock({ noCapacity }: Switches, pool: string | null, dataCenterId: string | null | undefined) {
  const available = !matches(noCapacity, pool ?? "") && !matches(noCapacity, dataCenterId ?? "");
  return { available, stockStatus: available ? "High" : "None" };
}

function gpuTypeView({ id, name, manufacturer, memory, pool }: (typeof gpuTypes)[number], switches: Switches) {
  const pricePerSecond = pools.find((one) => one.id === pool)?.pricePerSecond;
  return {
    id,
    displayName: name,
    manufacturer: manufacturer === "NVIDIA" ? "Nvidia" : manufacturer,
    memoryInGb: memory,
    secureCloud: true,
    communityCloud: false,
    maxGpuCount: 8,
    lowestPrice: ({ input }: { input?: { dataCenterId?: string | null } }) => ({
      gpuTypeId: id,
      uninterruptablePrice: pricePerSecond === undefined ? null : pricePerSecond * 3_600,
      stockStatus: stock(switches, pool, input?.dataCenterId).stockStatus,
    }),
  };
}

function resolvers({ account, changed, workerIds, switches }: GraphqlOptions, caller: Caller) {
  const allowedTo =
    (...callers: Caller[]) =>
    <A extends unknown[], R>(resolve: (...args: A) => R) =>
    (...args: A): R => {
      if (!callers.includes(caller)) throw new AccountError("Unauthorized");
      return resolve(...args);
    };
  const allowed = allowedTo("account", "read-only");
  const mutation = <A extends unknown[], R>(resolve: (...args: A) => R) =>
    allowedTo("account")((...args: A): R => {
      const result = resolve(...args);
      changed();
      return result;
    });
  const volume = (id: string | null | undefined) => account.networkVolumes.find(id);
  const endpointView = (endpoint: Endpoint) => ({
    ...endpoint,
    // REST v2 may have set half a second.
    scalerValue: Math.ceil(endpoint.scalerValue),
    networkVolume: volume(endpoint.networkVolumeId),
    networkVolumeIds: endpoint.networkVolumeIds?.map(({ networkVolumeId }) => ({
      networkVolumeId,
      dataCenterId: volume(networkVolumeId)?.dataCenterId,
    })),
    computeType: endpoint.instanceIds?.length ? "CPU" : "GPU",
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
    spendLimit: 80,
    maxServerlessConcurrency: account.workersQuota,
    serverlessDiscount: null,
    endpoints: () => account.endpoints.map(endpointView),
    endpoint: ({ id }: { id: string }) => {
      const endpoint = account.endpoint(id);
      return endpoint ? endpointView(endpoint) : null;
    },
    podTemplates: () => account.templates,
    containerRegistryCreds: () => account.registryAuths,
    networkVolumes: () => account.networkVolumes.all,
    secrets: () => account.secrets.all,
  };
  const required = <T>(input: T | null | undefined): T => {
    if (!input) throw new AccountError("input is required");
    return input;
  };

  return {
    myself: () => (caller === "anonymous" ? null : allowed(() => me)()),
    podTemplate: allowed(({ id }: { id: string }) => account.template(id) ?? null),
    // RunPod's own public templates are not part of an account.
    podTemplates: allowed(({ input }: { input?: { isRunpod?: boolean } }) =>
      input?.isRunpod ? [] : account.templates,
    ),
    gpuTypes: allowed(({ input }: { input?: { id?: string; ids?: string[] } }) =>
      gpuTypes
        .filter(({ id }) => (input?.id ?? id) === id && (input?.ids ?? [id]).includes(id))
        .map((type) => gpuTypeView(type, switches)),
    ),
    dataCenters: allowed(() =>
      dataCenters.map(({ id, name, region }) => ({
        id,
        name,
        location: region,
        listed: true,
        storageSupport: true,
        gpuAvailability: gpuTypes.map((gpu) => ({
          id: gpu.id,
          gpuTypeId: gpu.id,
          displayName: gpu.name,
          ...stock(switches, gpu.pool, id),
        })),
      })),
    ),
    serverlessGpuPools: allowed(() => pools.map(({ id, gpus }) => ({ id, gpuTypeIds: gpus.map(([gpu]) => gpu) }))),
    saveTemplate: mutation(({ input }: { input?: TemplateArguments }) =>
      account.saveTemplate(templateInput(required(input))),
    ),
    deleteTemplate: mutation(({ templateName }: { templateName?: string }) => {
      account.deleteTemplateNamed(templateName ?? "");
      return nothing();
    }),
    saveEndpoint: mutation(({ input }: { input: EndpointArguments }) =>
      endpointView(account.saveEndpoint(endpointInput(input))),
    ),
    updateEndpointTemplate: mutation(({ input }: { input?: { endpointId: string; templateId: string } }) => {
      const { endpointId, templateId } = required(input);
      return endpointView(account.updateEndpointTemplate(endpointId, templateId));
    }),
    deleteEndpoint: mutation(({ id }: { id: string }) => {
      account.deleteEndpoint(id);
      return nothing();
    }),
    saveRegistryAuth: mutation(({ input }: { input?: Credential }) => account.registries.create(required(input))),
    updateRegistryAuth: mutation(({ input }: { input?: Omit<Credential, "name"> & { id: string } }) =>
      account.registries.update(required(input)),
    ),
    createNetworkVolume: mutation(({ input }: { input: VolumeArguments }) => account.networkVolumes.save(given(input))),
    updateNetworkVolume: mutation(({ input }: { input: VolumeArguments }) => account.networkVolumes.save(given(input))),
    deleteNetworkVolume: mutation(({ input }: { input: { id: string } }) => {
      account.deleteNetworkVolume(input.id);
      return nothing();
    }),
    secretCreate: mutation(({ input }: { input: { name: string; description?: string | null } }) =>
      account.secrets.create(input.name, input.description ?? null),
    ),
    secretValueUpdate: mutation(({ input }: { input: { id: string } }) => account.secrets.update(input.id, {})),
    secretDescriptionUpdate: mutation(({ input }: { input: { id: string; description: string } }) =>
      account.secrets.update(input.id, { description: input.description }),
    ),
    secretDelete: mutation(({ id }: { id: string }) => {
      account.secrets.remove(id);
      return nothing();
    }),
    deleteRegistryAuth: mutation(({ registryAuthId }: { registryAuthId?: string }) => {
      account.deleteRegistryAuth(registryAuthId ?? "");
      return nothing();
    }),
  };
}

import { buildSchema, GraphQLError, graphql, parse, validate } from "graphql";
import type { AccountSnapshot, FakeRunpod, Operation } from "./fakeRunpod";
import { type FakeResponse, startFakeServer } from "./fakeServer";

// The serverless part of the schema that runpod/pulumi-runpod publishes. It is stricter than the original, because it
// allows no null arguments.
const schema = buildSchema(`
  scalar Void
  enum FlashBootType { OFF FLASHBOOT PRIORITY_FLASHBOOT }
  type Query { myself: User }
  type User { endpoints: [Endpoint]! podTemplates: [PodTemplate] containerRegistryCreds: [ContainerRegistryAuth]
    maxServerlessConcurrency: Int }
  type Mutation {
    saveEndpoint(input: EndpointInput!): Endpoint!
    deleteEndpoint(id: String!): Void
    saveTemplate(input: SaveTemplateInput!): PodTemplate
    deleteTemplate(templateName: String!): Void
    saveRegistryAuth(input: SaveRegistryAuthInput!): ContainerRegistryAuth
    updateRegistryAuth(input: UpdateRegistryAuthInput!): ContainerRegistryAuth
    deleteRegistryAuth(registryAuthId: String!): Void
  }
  type ContainerRegistryAuth { id: String name: String }
  input SaveRegistryAuthInput { name: String! username: String! password: String! }
  input UpdateRegistryAuthInput { id: String! username: String! password: String! }
  type EnvironmentVariable { key: String value: String }
  input EnvironmentVariableInput { key: String! value: String! }
  type PodTemplate {
    id: String name: String imageName: String dockerArgs: String env: [EnvironmentVariable] volumeInGb: Int
    containerDiskInGb: Int containerRegistryAuthId: String isServerless: Boolean isPublic: Boolean
  }
  input SaveTemplateInput {
    id: String name: String! imageName: String dockerArgs: String! env: [EnvironmentVariableInput]! volumeInGb: Int!
    containerDiskInGb: Int! containerRegistryAuthId: String isServerless: Boolean isPublic: Boolean
  }
  type Endpoint {
    id: String name: String templateId: String gpuIds: String workersMin: Int workersMax: Int idleTimeout: Int
    locations: String scalerType: String scalerValue: Int gpuCount: Int minCudaVersion: String executionTimeoutMs: Int
    flashBootType: FlashBootType type: String modelReferences: [String]
  }
  input EndpointInput {
    id: String name: String! templateId: String gpuIds: String workersMin: Int = 0 workersMax: Int = 3
    idleTimeout: Int = 10 locations: String scalerType: String scalerValue: Int = 4 gpuCount: Int = 1
    minCudaVersion: String executionTimeoutMs: Int flashBootType: FlashBootType type: String modelReferences: [String]
  }
`);

/** Maps a field of the query to its operation, if the two names differ. */
const operations: Record<string, Operation> = {
  saveRegistryAuth: "createRegistryAuth",
  podTemplates: "list",
  endpoints: "list",
  containerRegistryCreds: "list",
  maxServerlessConcurrency: "list",
};

interface GraphqlRequest {
  query: string;
  variables?: { input?: Record<string, unknown> };
}

/**
 * Starts a strict fake of RunPod's GraphQL control plane with the published schema and faults on demand. It follows
 * RunPod's rules: unique template names, the order of deletes, no delete of a resource in use, and saves that replace
 * every field.
 */
export async function startFakeGraphql() {
  const account = new GraphqlAccount();
  const server = await startFakeServer({
    identify({ path, body }) {
      if (path !== "/graphql") return undefined;
      const { query, variables } = body as GraphqlRequest;
      const field = /\{\s*(?:myself\s*\{\s*)?(\w+)/.exec(query.replace(/^[^{]*/, ""))?.[1] ?? "";
      return { operation: operations[field] ?? (field as Operation), input: variables?.input ?? {} };
    },
    refuse: (message) => json(200, { errors: [{ message }], data: null }),
    async answer({ path, body, hasKey }) {
      if (path !== "/graphql") return json(404, { title: "Not Found", status: 404, detail: "resource not found" });
      const { query, variables } = body as GraphqlRequest;
      const errors = validate(schema, parse(query));
      if (errors.length > 0) return json(400, { errors });
      if (!hasKey) return json(200, { data: { myself: null } });
      return json(200, await graphql({ schema, source: query, rootValue: account, variableValues: variables }));
    },
  });
  const { templates, endpoints, registryAuths, quota } = account;
  return {
    ...server,
    templates,
    endpoints,
    registryAuths,
    quota,
    snapshot: () => account.snapshot(),
    keepInUse(deletes: number) {
      account.inUseDeletes = deletes;
    },
    setWorkersMax: (id: string, workersMax: number) => void Object.assign(account.endpoint(id), { workersMax }),
    reset() {
      server.reset();
      account.reset();
    },
  } satisfies FakeRunpod & { templates: unknown; endpoints: unknown; registryAuths: unknown; quota: unknown };
}

/** See `startFakeGraphql`. */
export type FakeGraphql = Awaited<ReturnType<typeof startFakeGraphql>>;

function json(status: number, body: unknown): FakeResponse {
  return { status, contentType: "application/json", body };
}

interface Stored {
  id: string;
  name: string;
  [field: string]: unknown;
}

interface Template extends Stored {
  env: { key: string; value: string }[];
}

/** Content of the account. The methods with an argument object are the resolvers of the schema. */
class GraphqlAccount {
  readonly templates = new Map<string, Template>();
  readonly endpoints = new Map<string, Stored>();
  readonly registryAuths = new Map<string, AccountSnapshot["registryAuths"][number]>();
  /** Worker quota that the account returns. */
  readonly quota: { workers: number | undefined } = { workers: undefined };
  inUseDeletes = 0;
  private created = 0;

  myself() {
    return {
      // The order is reversed because RunPod does not guarantee the order of lists.
      endpoints: [...this.endpoints.values()].reverse(),
      podTemplates: [...this.templates.values()].reverse(),
      containerRegistryCreds: [...this.registryAuths.values()].reverse(),
      maxServerlessConcurrency: this.quota.workers,
    };
  }

  saveTemplate({ input }: { input: Template }) {
    const isTaken = [...this.templates.values()].some(({ id, name }) => name === input.name && id !== input.id);
    if (isTaken) throw new GraphQLError("Template name must be unique.");
    if (input.isServerless === true && input.volumeInGb !== 0) throw new GraphQLError("Serverless has no volume.");
    const id = input.id ?? `tpl${++this.created}`;
    if (input.id !== undefined && !this.templates.has(id)) throw new GraphQLError("Template not found.");
    const env = [...input.env].sort((a, b) => b.key.localeCompare(a.key));
    const stored = { ...input, id, env: [...env, { key: "PORT", value: "80" }] };
    this.templates.set(id, stored);
    return stored;
  }

  deleteTemplate({ templateName }: { templateName: string }) {
    const found = [...this.templates.values()].find(({ name }) => name === templateName);
    if (found === undefined) throw new GraphQLError("Template does not exist.");
    const isUsed = [...this.endpoints.values()].some(({ templateId }) => templateId === found.id);
    if (isUsed || this.inUseDeletes-- > 0) throw new GraphQLError("Template is in use.");
    this.templates.delete(found.id);
    return null;
  }

  saveEndpoint({ input }: { input: Stored }) {
    if (!this.templates.has(String(input.templateId))) throw new GraphQLError("Template not found.");
    if (input.id !== undefined && !this.endpoints.has(input.id)) throw new GraphQLError("Endpoint not found.");
    const id = input.id ?? `end${++this.created}`;
    const stored = { ...input, id, gpuIds: String(input.gpuIds).split(",").sort().reverse().join(", ") };
    this.endpoints.set(id, stored);
    return stored;
  }

  deleteEndpoint({ id }: { id: string }) {
    const { workersMin, workersMax } = this.endpoint(id);
    if (workersMin !== 0 || workersMax !== 0) throw new GraphQLError("Set min and max workers to 0 first.");
    this.endpoints.delete(id);
    return null;
  }

  saveRegistryAuth({ input }: { input: { name: string; username: string; password: string } }) {
    if ([...this.registryAuths.values()].some(({ name }) => name === input.name))
      throw new GraphQLError("Registry auth name must be unique.");
    const stored = { ...input, id: `reg${++this.created}` };
    this.registryAuths.set(stored.id, stored);
    return stored;
  }

  updateRegistryAuth({ input }: { input: { id: string; username: string; password: string } }) {
    const found = this.registryAuths.get(input.id);
    if (found === undefined) throw new GraphQLError("Registry auth not found.");
    return Object.assign(found, input);
  }

  deleteRegistryAuth({ registryAuthId }: { registryAuthId: string }) {
    if (!this.registryAuths.has(registryAuthId)) throw new GraphQLError("Registry auth not found.");
    if (this.inUseDeletes-- > 0) throw new GraphQLError("Registry auth is in use.");
    this.registryAuths.delete(registryAuthId);
    return null;
  }

  endpoint(id: string): Stored {
    const found = this.endpoints.get(id);
    if (found === undefined) throw new GraphQLError("Endpoint not found.");
    return found;
  }

  snapshot(): AccountSnapshot {
    return {
      templates: [...this.templates.values()].map((each) => ({
        id: each.id,
        name: each.name,
        ...containerSnapshot(each),
      })),
      endpoints: [...this.endpoints.values()].map((each) => {
        const template = this.templates.get(String(each.templateId));
        if (template === undefined) throw new Error(`The endpoint ${each.id} has no template.`);
        return {
          id: each.id,
          name: each.name,
          workersMin: Number(each.workersMin),
          workersMax: Number(each.workersMax),
          gpus: String(each.gpuIds).split(", "),
          ...containerSnapshot(template),
        };
      }),
      registryAuths: [...this.registryAuths.values()],
    };
  }

  reset() {
    for (const items of [this.templates, this.endpoints, this.registryAuths]) items.clear();
    this.inUseDeletes = 0;
    this.quota.workers = undefined;
  }
}

function containerSnapshot({ imageName, env, containerDiskInGb, containerRegistryAuthId }: Template) {
  return {
    image: String(imageName),
    env: Object.fromEntries(env.map(({ key, value }) => [key, value])),
    diskGb: Number(containerDiskInGb),
    registryId: typeof containerRegistryAuthId === "string" ? containerRegistryAuthId : undefined,
  };
}

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buildSchema, GraphQLError, graphql, parse, validate } from "graphql";
import type { AccountSnapshot, FakeRunpod, Fault, Operation } from "./fakeRunpod";
import { answerWorkerRoute, emptyWorkerStates } from "./workerRoutes";

const API_KEY = "rpa_CANARY_KEY";

// The part of runpod/pulumi-runpod's published schema that serverless needs. It is stricter than the original: no argument
// may be null.
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

interface Stored {
  id: string;
  name: string;
  [field: string]: unknown;
}

interface Template extends Stored {
  env: { key: string; value: string }[];
}

/** Operations by the field of the query, where the names differ. */
const operations: Record<string, Operation> = {
  saveRegistryAuth: "createRegistryAuth",
  podTemplates: "list",
  endpoints: "list",
  containerRegistryCreds: "list",
  maxServerlessConcurrency: "list",
};

/**
 * A strict fake of RunPod's GraphQL control plane: the published schema, RunPod's rules (unique template names, delete
 * order, in use, full replacement), and faults on demand.
 */
export async function startFakeGraphql() {
  const templates = new Map<string, Template>();
  const endpoints = new Map<string, Stored>();
  const registryAuths = new Map<string, AccountSnapshot["registryAuths"][number]>();
  const faults: { operation: Operation; fault: Fault }[] = [];
  const calls: FakeRunpod["calls"] = [];
  let inUseDeletes = 0;
  let created = 0;
  const workers = emptyWorkerStates();
  const quota: { workers: number | undefined } = { workers: undefined };

  const root = {
    myself: () => ({
      // RunPod promises no order of lists.
      endpoints: [...endpoints.values()].reverse(),
      podTemplates: [...templates.values()].reverse(),
      containerRegistryCreds: [...registryAuths.values()].reverse(),
      maxServerlessConcurrency: quota.workers,
    }),
    saveTemplate({ input }: { input: Template }) {
      const taken = [...templates.values()].some(({ id, name }) => name === input.name && id !== input.id);
      if (taken) throw new GraphQLError("Template name must be unique.");
      if (input.isServerless === true && input.volumeInGb !== 0) throw new GraphQLError("Serverless has no volume.");
      const id = input.id ?? `tpl${++created}`;
      if (input.id !== undefined && !templates.has(id)) throw new GraphQLError("Template not found.");
      const env = [...input.env].sort((a, b) => b.key.localeCompare(a.key));
      const stored = { ...input, id, env: [...env, { key: "PORT", value: "80" }] };
      templates.set(id, stored);
      return stored;
    },
    deleteTemplate({ templateName }: { templateName: string }) {
      const found = [...templates.values()].find(({ name }) => name === templateName);
      if (found === undefined) throw new GraphQLError("Template does not exist.");
      const used = [...endpoints.values()].some(({ templateId }) => templateId === found.id);
      if (used || inUseDeletes-- > 0) throw new GraphQLError("Template is in use.");
      templates.delete(found.id);
      return null;
    },
    saveEndpoint({ input }: { input: Stored }) {
      if (!templates.has(String(input.templateId))) throw new GraphQLError("Template not found.");
      if (input.id !== undefined && !endpoints.has(input.id)) throw new GraphQLError("Endpoint not found.");
      const id = input.id ?? `end${++created}`;
      const stored = { ...input, id, gpuIds: String(input.gpuIds).split(",").sort().reverse().join(", ") };
      endpoints.set(id, stored);
      return stored;
    },
    deleteEndpoint({ id }: { id: string }) {
      const found = endpoints.get(id);
      if (found === undefined) throw new GraphQLError("Endpoint not found.");
      if (found.workersMin !== 0 || found.workersMax !== 0)
        throw new GraphQLError("Set min and max workers to 0 first.");
      endpoints.delete(id);
      return null;
    },
    saveRegistryAuth({ input }: { input: { name: string; username: string; password: string } }) {
      if ([...registryAuths.values()].some(({ name }) => name === input.name))
        throw new GraphQLError("Registry auth name must be unique.");
      const stored = { ...input, id: `reg${++created}` };
      registryAuths.set(stored.id, stored);
      return stored;
    },
    updateRegistryAuth({ input }: { input: { id: string; username: string; password: string } }) {
      const found = registryAuths.get(input.id);
      if (found === undefined) throw new GraphQLError("Registry auth not found.");
      return Object.assign(found, input);
    },
    deleteRegistryAuth({ registryAuthId }: { registryAuthId: string }) {
      if (!registryAuths.has(registryAuthId)) throw new GraphQLError("Registry auth not found.");
      if (inUseDeletes-- > 0) throw new GraphQLError("Registry auth is in use.");
      registryAuths.delete(registryAuthId);
      return null;
    },
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (answerWorkerRoute(request, response, workers)) return;
    const { query, variables } = JSON.parse(Buffer.concat(chunks).toString());
    const field = /\{\s*(?:myself\s*\{\s*)?(\w+)/.exec(query.replace(/^[^{]*/, ""))?.[1] ?? "";
    const operation = operations[field] ?? (field as Operation);
    const authorization = request.headers.authorization ?? "";
    calls.push({
      operation,
      input: variables?.input ?? {},
      authorization,
      userAgent: request.headers["user-agent"] ?? "",
    });

    const answer = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    const next = faults.findIndex((each) => each.operation === operation);
    const fault = next >= 0 ? faults.splice(next, 1)[0]?.fault : undefined;
    if (fault === "lost request") return request.socket.destroy();
    if (typeof fault === "object" && "status" in fault) {
      const retryAfter = fault.retryAfterSeconds;
      response.writeHead(fault.status, {
        "content-type": "text/html",
        ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
      });
      return response.end("<html>edge</html>");
    }
    if (typeof fault === "object") return answer(200, { errors: [{ message: fault.message }], data: null });

    const invalid = validate(schema, parse(query));
    if (invalid.length > 0) return answer(400, { errors: invalid });
    if (authorization !== `Bearer ${API_KEY}`) return answer(200, { data: { myself: null } });
    const result = await graphql({ schema, source: query, rootValue: root, variableValues: variables });
    if (fault === "lost answer") return request.socket.destroy();
    return answer(200, result);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: API_KEY,
    templates,
    endpoints,
    registryAuths,
    /** Worker quota that the account returns. */
    quota,
    snapshot: () => ({
      templates: [...templates.values()].map((each) => ({ id: each.id, name: each.name, ...containerSnapshot(each) })),
      endpoints: [...endpoints.values()].map((each) => {
        const template = templates.get(String(each.templateId));
        if (template === undefined) throw new Error(`endpoint ${each.id} has no template`);
        return {
          id: each.id,
          name: each.name,
          workersMin: Number(each.workersMin),
          workersMax: Number(each.workersMax),
          gpus: String(each.gpuIds).split(", "),
          ...containerSnapshot(template),
        };
      }),
      registryAuths: [...registryAuths.values()],
    }),
    calls,
    count: (operation: Operation) => calls.filter((call) => call.operation === operation).length,
    failNext: (operation: Operation, fault: Fault) => void faults.push({ operation, fault }),
    keepInUse(deletes: number) {
      inUseDeletes = deletes;
    },
    setWorkersMax(id: string, workersMax: number) {
      const endpoint = endpoints.get(id);
      if (endpoint === undefined) throw new Error(`no endpoint ${id}`);
      endpoint.workersMax = workersMax;
    },
    workers,
    reset() {
      for (const items of [templates, endpoints, registryAuths]) items.clear();
      faults.length = 0;
      calls.length = 0;
      inUseDeletes = 0;
      quota.workers = undefined;
      Object.assign(workers, emptyWorkerStates());
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  } satisfies FakeRunpod & { templates: unknown; endpoints: unknown; registryAuths: unknown; quota: unknown };
}

function containerSnapshot({ imageName, env, containerDiskInGb, containerRegistryAuthId }: Template) {
  return {
    image: String(imageName),
    env: Object.fromEntries(env.map(({ key, value }) => [key, value])),
    diskGb: Number(containerDiskInGb),
    registryId: typeof containerRegistryAuthId === "string" ? containerRegistryAuthId : undefined,
  };
}

/** See `startFakeGraphql`. */
export type FakeGraphql = Awaited<ReturnType<typeof startFakeGraphql>>;

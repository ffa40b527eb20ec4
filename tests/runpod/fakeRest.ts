import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as z from "zod";
import type { FakeRunpod, Fault, Operation } from "./fakeRunpod";
import { answerWorkerRoute, emptyWorkerStates } from "./workerRoutes";

const API_KEY = "rpa_CANARY_KEY";

// The part of RunPod's OpenAPI document of v2 that serverless needs. Unknown fields are refused.
const container = {
  image: z.string().optional(),
  args: z.string().optional(),
  disk: z.int().min(1).optional(),
  env: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).optional(),
  registry: z.string().nullable().optional(),
};
const CreateTemplate = z.strictObject({
  ...container,
  name: z.string().min(1),
  image: z.string(),
  serverless: z.boolean().default(false),
  public: z.boolean().default(false),
});
const UpdateTemplate = CreateTemplate.partial();
const version = z.string().regex(/^\d+\.\d+$/);
const gpu = {
  excludedTypes: z.array(z.string()).optional(),
  count: z.int().min(1).optional(),
  allowedCudaVersions: z.array(version).optional(),
};
const scaling = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("QUEUE_DELAY"), queueDelay: z.number().min(0.5) }),
  z.strictObject({ type: z.literal("REQUEST_COUNT"), requestCount: z.int().min(1) }),
]);
const workers = z.strictObject({
  min: z.int().min(0).optional(),
  max: z.int().min(0).optional(),
  idleTimeout: z.int().min(1).max(3600).optional(),
});
const settings = {
  ...container,
  workers: workers.optional(),
  dataCenterIds: z.array(z.string()).optional(),
  networkVolumes: z.array(z.string()).optional(),
  flashboot: z.enum(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]).optional(),
  timeout: z.int().optional(),
};
const CreateEndpoint = z.strictObject({
  ...settings,
  name: z.string().min(1),
  type: z.enum(["QUEUE", "LOAD_BALANCER"]),
  scaling,
  gpu: z.strictObject({ ...gpu, pools: z.array(z.string()).min(1), minCudaVersion: version.optional() }),
  templateId: z.string().optional(),
});
const UpdateEndpoint = z.strictObject({
  ...settings,
  name: z.string().min(1).optional(),
  scaling: scaling.optional(),
  gpu: z
    .strictObject({
      ...gpu,
      pools: z.array(z.string()).min(1).optional(),
      minCudaVersion: z.union([z.literal(""), version]).optional(),
    })
    .optional(),
});
const CreateRegistry = z.strictObject({ name: z.string(), username: z.string().min(1), password: z.string().min(1) });

type Stored = { id: string; name: string; [field: string]: unknown };

/** An error response, `application/problem+json`. */
class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly errors?: string[],
  ) {
    super(detail);
  }
}

/**
 * A strict fake of RunPod's REST API v2: it refuses fields that are not in the OpenAPI document, an endpoint copies its
 * template only when it is created, an update changes only the given fields, and credentials cannot be updated.
 */
export async function startFakeRest(): Promise<FakeRunpod> {
  const templates = new Map<string, Stored>();
  const endpoints = new Map<string, Stored>();
  const registries = new Map<string, Stored>();
  const faults: { operation: Operation; fault: Fault }[] = [];
  const calls: FakeRunpod["calls"] = [];
  let inUseDeletes = 0;
  let created = 0;
  const workerStates = emptyWorkerStates();

  function valid<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    const errors = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new Problem(422, "Request validation failed.", errors);
  }
  const existing = (items: Map<string, Stored>, id: string): Stored => {
    const found = items.get(id);
    if (found === undefined) throw new Problem(404, "resource not found");
    return found;
  };
  const checkIdle = (endpoint: Stored) => {
    const { type } = endpoint.scaling as { type: string };
    if (type === "REQUEST_COUNT" && (endpoint.workers as { idleTimeout?: number }).idleTimeout !== undefined)
      throw new Problem(422, "workers.idleTimeout does not apply to queue-based endpoints scaling on requestCount");
  };
  const checkName = (name: unknown, id?: string) => {
    if ([...templates.values()].some((each) => each.name === name && each.id !== id))
      throw new Problem(400, "template name must be unique");
  };

  const routes: [string, RegExp, Operation, (id: string, body: unknown) => [number, unknown]][] = [
    ["GET", /^\/v2\/templates$/, "list", () => [200, { templates: [...templates.values()].reverse() }]],
    ["GET", /^\/v2\/templates\/([^/]+)$/, "list", (id) => [200, existing(templates, id)]],
    [
      "POST",
      /^\/v2\/templates$/,
      "saveTemplate",
      (_id, body) => {
        const fields = valid(CreateTemplate, body);
        checkName(fields.name);
        const stored = { args: "", env: {}, registry: null, ports: [], ...fields, id: `tpl${++created}` };
        templates.set(stored.id, stored);
        return [201, stored];
      },
    ],
    [
      "PATCH",
      /^\/v2\/templates\/([^/]+)$/,
      "saveTemplate",
      (id, body) => {
        const { serverless: _, public: __, ...fields } = valid(UpdateTemplate, body);
        checkName(fields.name, id);
        const stored = { ...existing(templates, id), ...fields } as Stored;
        templates.set(id, stored);
        return [200, stored];
      },
    ],
    [
      "DELETE",
      /^\/v2\/templates\/([^/]+)$/,
      "deleteTemplate",
      (id) => {
        existing(templates, id);
        if (inUseDeletes-- > 0) throw new Problem(400, "template is in use by an endpoint");
        templates.delete(id);
        return [204, undefined];
      },
    ],
    ["GET", /^\/v2\/serverless$/, "list", () => [200, { endpoints: [...endpoints.values()].reverse() }]],
    ["GET", /^\/v2\/serverless\/([^/]+)$/, "list", (id) => [200, existing(endpoints, id)]],
    [
      "POST",
      /^\/v2\/serverless$/,
      "saveEndpoint",
      (_id, body) => {
        const { templateId, ...fields } = valid(CreateEndpoint, body);
        const copied: Partial<Stored> = templateId === undefined ? {} : copyOf(existing(templates, templateId));
        const env = { ...(copied.env as object), ...fields.env, PORT: "80" };
        const defaults = { args: "", disk: 10, registry: null, timeout: 0, flashboot: "OFF", dataCenterIds: [] };
        const workers = { min: 0, max: 3, ...fields.workers };
        const stored: Stored = { ...defaults, ...copied, ...fields, env, workers, id: `end${++created}` };
        if (stored.image === undefined) throw new Problem(422, "image or templateId is required");
        checkIdle(stored);
        endpoints.set(stored.id, stored);
        return [201, stored];
      },
    ],
    [
      "PATCH",
      /^\/v2\/serverless\/([^/]+)$/,
      "saveEndpoint",
      (id, body) => {
        const fields = valid(UpdateEndpoint, body);
        const before = existing(endpoints, id);
        const workers = { ...(before.workers as object), ...fields.workers };
        const gpu = { ...(before.gpu as object), ...fields.gpu };
        const stored = { ...before, ...fields, workers, gpu } as Stored;
        checkIdle(stored);
        endpoints.set(id, stored);
        return [200, stored];
      },
    ],
    [
      "DELETE",
      /^\/v2\/serverless\/([^/]+)$/,
      "deleteEndpoint",
      (id) => {
        existing(endpoints, id);
        endpoints.delete(id);
        return [204, undefined];
      },
    ],
    [
      "GET",
      /^\/v2\/registries$/,
      "list",
      () => [200, { registries: [...registries.values()].map(({ id, name }) => ({ id, name })) }],
    ],
    [
      "POST",
      /^\/v2\/registries$/,
      "createRegistryAuth",
      (_id, body) => {
        const fields = valid(CreateRegistry, body);
        if ([...registries.values()].some(({ name }) => name === fields.name))
          throw new Problem(400, "registry name must be unique");
        const stored = { ...fields, id: `reg${++created}` };
        registries.set(stored.id, stored);
        return [201, { id: stored.id, name: stored.name }];
      },
    ],
    [
      "DELETE",
      /^\/v2\/registries\/([^/]+)$/,
      "deleteRegistryAuth",
      (id) => {
        existing(registries, id);
        if (inUseDeletes-- > 0) throw new Problem(400, "registry is in use");
        registries.delete(id);
        return [204, undefined];
      },
    ],
  ];

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (answerWorkerRoute(request, response, workerStates)) return;
    const { pathname } = new URL(request.url ?? "/", "http://runpod");
    const route = routes.find(([method, path]) => method === request.method && path.test(pathname));
    const problem = (status: number, detail: string, errors?: string[]) => {
      response.writeHead(status, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ title: "Problem", status, detail, errors }));
    };
    if (route === undefined) return problem(404, "no such path");
    const [, path, operation, run] = route;
    const body: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
    const authorization = request.headers.authorization ?? "";
    const userAgent = request.headers["user-agent"] ?? "";
    calls.push({ operation, input: (body ?? {}) as Record<string, unknown>, authorization, userAgent });

    const next = faults.findIndex((each) => each.operation === operation);
    const fault = next >= 0 ? faults.splice(next, 1)[0]?.fault : undefined;
    if (fault === "lost request") return request.socket.destroy();
    if (typeof fault === "object" && "status" in fault) {
      const retryAfter = fault.retryAfterSeconds;
      response.writeHead(fault.status, { ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }) });
      return response.end("<html>edge</html>");
    }
    if (typeof fault === "object") return problem(400, fault.message);
    if (authorization !== `Bearer ${API_KEY}`) return problem(401, "invalid bearer token");
    try {
      const [status, answer] = run(path.exec(pathname)?.[1] ?? "", body);
      if (fault === "lost answer") return request.socket.destroy();
      response.writeHead(status, { "content-type": "application/json" });
      response.end(answer === undefined ? undefined : JSON.stringify(answer));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem(error.status, error.message, error.errors);
    }
  }

  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const containerSnapshot = ({ image, env, disk, registry }: Stored) => ({
    image: String(image),
    env: env as Record<string, string>,
    diskGb: Number(disk),
    registryId: typeof registry === "string" ? registry : undefined,
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: API_KEY,
    snapshot: () => ({
      templates: [...templates.values()].map((each) => ({ id: each.id, name: each.name, ...containerSnapshot(each) })),
      endpoints: [...endpoints.values()].map((each) => {
        const { min, max } = each.workers as { min: number; max: number };
        const { pools, excludedTypes = [] } = each.gpu as { pools: string[]; excludedTypes?: string[] };
        const gpus = [...pools, ...excludedTypes.map((type) => `-${type}`)];
        return { id: each.id, name: each.name, workersMin: min, workersMax: max, gpus, ...containerSnapshot(each) };
      }),
      registryAuths: [...registries.values()] as unknown as ReturnType<FakeRunpod["snapshot"]>["registryAuths"],
    }),
    calls,
    count: (operation) => calls.filter((call) => call.operation === operation).length,
    failNext: (operation, fault) => void faults.push({ operation, fault }),
    keepInUse: (deletes) => {
      inUseDeletes = deletes;
    },
    setWorkersMax(id, max) {
      const endpoint = existing(endpoints, id);
      endpoint.workers = { ...(endpoint.workers as object), max };
    },
    workers: workerStates,
    reset() {
      for (const items of [templates, endpoints, registries]) items.clear();
      faults.length = 0;
      calls.length = 0;
      inUseDeletes = 0;
      Object.assign(workerStates, emptyWorkerStates());
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function copyOf({ image, args, disk, env, registry }: Stored) {
  return { image, args, disk, env, registry };
}

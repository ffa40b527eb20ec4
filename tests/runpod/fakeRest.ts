import * as z from "zod";
import type { AccountSnapshot, FakeRunpod, Operation } from "./fakeRunpod";
import { type FakeRequest, type FakeResponse, startFakeServer } from "./fakeServer";

// The serverless part of RunPod's OpenAPI document for v2. Unknown fields are refused.
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
  startSsh: z.boolean().default(true),
  startJupyter: z.boolean().default(true),
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

const UpdateRegistry = CreateRegistry.omit({ name: true });

type Route = [method: string, path: RegExp, Operation, run: (id: string, body: unknown) => FakeResponse];

/**
 * Starts a strict fake of RunPod's REST API v2. It refuses fields that are not in the OpenAPI document. A create of an
 * endpoint copies the template. An update changes only the given fields.
 */
export async function startFakeRest(): Promise<FakeRunpod> {
  const account = new RestAccount();
  const routes = routesOf(account);
  const find = ({ method, path }: FakeRequest) => routes.find((route) => route[0] === method && route[1].test(path));
  const server = await startFakeServer({
    identify(request) {
      const route = find(request);
      return route && { operation: route[2], input: (request.body ?? {}) as Record<string, unknown> };
    },
    refuse: (message) => problem(400, message),
    answer(request) {
      const route = find(request);
      if (route === undefined) return problem(404, "no such path");
      if (!request.hasKey) return problem(401, "invalid bearer token");
      const [, path, , run] = route;
      try {
        return run(path.exec(request.path)?.[1] ?? "", request.body);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return problem(error.status, error.message, error.errors);
      }
    },
  });
  return {
    ...server,
    snapshot: () => account.snapshot(),
    keepInUse(deletes) {
      account.inUseDeletes = deletes;
    },
    setWorkersMax(id, max) {
      const endpoint = existing(account.endpoints, id);
      endpoint.workers = { ...(endpoint.workers as object), max };
    },
    reset() {
      server.reset();
      account.reset();
    },
  };
}

function routesOf(account: RestAccount): Route[] {
  const { templates, endpoints, registries } = account;
  return [
    ["GET", /^\/v2\/templates$/, "list", () => json(200, { templates: [...templates.values()].reverse() })],
    ["GET", /^\/v2\/templates\/([^/]+)$/, "list", (id) => json(200, existing(templates, id))],
    ["POST", /^\/v2\/templates$/, "saveTemplate", (_id, body) => json(201, account.createTemplate(body))],
    ["PATCH", /^\/v2\/templates\/([^/]+)$/, "saveTemplate", (id, body) => json(200, account.updateTemplate(id, body))],
    ["DELETE", /^\/v2\/templates\/([^/]+)$/, "deleteTemplate", (id) => account.deleteTemplate(id)],
    ["GET", /^\/v2\/serverless$/, "list", () => json(200, { endpoints: [...endpoints.values()].reverse() })],
    ["GET", /^\/v2\/serverless\/([^/]+)$/, "list", (id) => json(200, existing(endpoints, id))],
    ["POST", /^\/v2\/serverless$/, "saveEndpoint", (_id, body) => json(201, account.createEndpoint(body))],
    ["PATCH", /^\/v2\/serverless\/([^/]+)$/, "saveEndpoint", (id, body) => json(200, account.updateEndpoint(id, body))],
    ["DELETE", /^\/v2\/serverless\/([^/]+)$/, "deleteEndpoint", (id) => account.deleteEndpoint(id)],
    [
      "GET",
      /^\/v2\/registries$/,
      "list",
      () => json(200, { registries: [...registries.values()].map(withoutSecrets) }),
    ],
    ["POST", /^\/v2\/registries$/, "createRegistryAuth", (_id, body) => json(201, account.createRegistry(body))],
    [
      "PATCH",
      /^\/v2\/registries\/([^/]+)$/,
      "updateRegistryAuth",
      (id, body) => json(200, account.updateRegistry(id, body)),
    ],
    ["DELETE", /^\/v2\/registries\/([^/]+)$/, "deleteRegistryAuth", (id) => account.deleteRegistry(id)],
  ];
}

const NO_CONTENT: FakeResponse = { status: 204, contentType: "application/json" };

function json(status: number, body: unknown): FakeResponse {
  return { status, contentType: "application/json", body };
}

function problem(status: number, detail: string, errors?: string[]): FakeResponse {
  return { status, contentType: "application/problem+json", body: { title: "Problem", status, detail, errors } };
}

type Stored = { id: string; name: string; [field: string]: unknown };

/** An error response. */
class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly errors?: string[],
  ) {
    super(detail);
  }
}

/** Content of the account. */
class RestAccount {
  readonly templates = new Map<string, Stored>();
  readonly endpoints = new Map<string, Stored>();
  readonly registries = new Map<string, Stored>();
  inUseDeletes = 0;
  private created = 0;

  createTemplate(body: unknown): Stored {
    const fields = valid(CreateTemplate, body);
    this.checkTemplateName(fields.name);
    const stored = { args: "", env: {}, registry: null, ports: [], ...fields, id: `tpl${++this.created}` };
    this.templates.set(stored.id, stored);
    return stored;
  }

  updateTemplate(id: string, body: unknown): Stored {
    const { serverless: _, public: __, startSsh: ___, startJupyter: ____, ...fields } = valid(UpdateTemplate, body);
    this.checkTemplateName(fields.name, id);
    const stored = { ...existing(this.templates, id), ...fields } as Stored;
    this.templates.set(id, stored);
    return stored;
  }

  deleteTemplate(id: string): FakeResponse {
    existing(this.templates, id);
    if (this.inUseDeletes-- > 0) throw new Problem(400, "template is in use by an endpoint");
    this.templates.delete(id);
    return NO_CONTENT;
  }

  createEndpoint(body: unknown): Stored {
    const { templateId, ...fields } = valid(CreateEndpoint, body);
    const template = templateId === undefined ? undefined : existing(this.templates, templateId);
    const copied: Partial<Stored> = template ? copyOf(template) : {};
    const env = { ...(copied.env as object), ...fields.env, PORT: "80" };
    const defaults = { args: "", disk: 10, registry: null, timeout: 0, flashboot: "OFF", dataCenterIds: [] };
    const workers = { min: 0, max: 3, ...fields.workers };
    const stored: Stored = { ...defaults, ...copied, ...fields, env, workers, id: `end${++this.created}` };
    if (stored.image === undefined) throw new Problem(422, "image or templateId is required");
    checkIdleTimeout(stored);
    this.endpoints.set(stored.id, stored);
    return stored;
  }

  updateEndpoint(id: string, body: unknown): Stored {
    const fields = valid(UpdateEndpoint, body);
    const before = existing(this.endpoints, id);
    const workers = { ...(before.workers as object), ...fields.workers };
    const gpu = { ...(before.gpu as object), ...fields.gpu };
    const stored = { ...before, ...fields, workers, gpu } as Stored;
    checkIdleTimeout(stored);
    this.endpoints.set(id, stored);
    return stored;
  }

  deleteEndpoint(id: string): FakeResponse {
    existing(this.endpoints, id);
    this.endpoints.delete(id);
    return NO_CONTENT;
  }

  createRegistry(body: unknown) {
    const fields = valid(CreateRegistry, body);
    if ([...this.registries.values()].some(({ name }) => name === fields.name))
      throw new Problem(400, "registry name must be unique");
    const stored = { ...fields, id: `reg${++this.created}` };
    this.registries.set(stored.id, stored);
    return withoutSecrets(stored);
  }

  updateRegistry(id: string, body: unknown) {
    const stored = { ...existing(this.registries, id), ...valid(UpdateRegistry, body) };
    this.registries.set(id, stored);
    return withoutSecrets(stored);
  }

  deleteRegistry(id: string): FakeResponse {
    existing(this.registries, id);
    if (this.inUseDeletes-- > 0) throw new Problem(400, "registry is in use");
    this.registries.delete(id);
    return NO_CONTENT;
  }

  snapshot(): AccountSnapshot {
    return {
      templates: [...this.templates.values()].map((each) => ({
        id: each.id,
        name: each.name,
        ...containerSnapshot(each),
      })),
      endpoints: [...this.endpoints.values()].map((each) => {
        const { min, max } = each.workers as { min: number; max: number };
        const { pools, excludedTypes = [] } = each.gpu as { pools: string[]; excludedTypes?: string[] };
        const gpus = [...pools, ...excludedTypes.map((type) => `-${type}`)];
        return { id: each.id, name: each.name, workersMin: min, workersMax: max, gpus, ...containerSnapshot(each) };
      }),
      registryAuths: [...this.registries.values()] as unknown as AccountSnapshot["registryAuths"],
    };
  }

  reset() {
    for (const items of [this.templates, this.endpoints, this.registries]) items.clear();
    this.inUseDeletes = 0;
  }

  private checkTemplateName(name: unknown, id?: string) {
    if ([...this.templates.values()].some((each) => each.name === name && each.id !== id))
      throw new Problem(400, "template name must be unique");
  }
}

function valid<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Problem(422, "Request validation failed.", errors);
}

function existing(items: Map<string, Stored>, id: string): Stored {
  const found = items.get(id);
  if (found === undefined) throw new Problem(404, "resource not found");
  return found;
}

function checkIdleTimeout(endpoint: Stored) {
  const { type } = endpoint.scaling as { type: string };
  if (type === "REQUEST_COUNT" && (endpoint.workers as { idleTimeout?: number }).idleTimeout !== undefined)
    throw new Problem(422, "workers.idleTimeout does not apply to queue-based endpoints scaling on requestCount");
}

function withoutSecrets({ id, name }: Stored) {
  return { id, name };
}

/**
 * Container in a snapshot. The snapshot shares the `env` object with the account, so a test can change the stored
 * variables.
 */
function containerSnapshot({ image, env, disk, registry }: Stored) {
  return {
    image: String(image),
    env: env as Record<string, string>,
    diskGb: Number(disk),
    registryId: typeof registry === "string" ? registry : undefined,
  };
}

function copyOf({ image, args, disk, env, registry }: Stored) {
  return { image, args, disk, env, registry };
}

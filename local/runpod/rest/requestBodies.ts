import * as z from "zod";

/** CUDA version, `major.minor`. */
const cuda = z.string().regex(/^\d+\.\d+$/, "does not match pattern '^\\d+\\.\\d+$'");

const container = {
  image: z.string(),
  args: z.string(),
  disk: z.int().min(1).describe("GB"),
  env: z.record(z.string(), z.string()),
  ports: z.array(z.string()),
  registry: z.string().nullable().describe("Container registry credential id"),
};
const optionalContainer = z.object(container).partial().shape;

const gpu = {
  pools: z.array(z.string()).min(1),
  excludedTypes: z.array(z.string().regex(/^\s*[^-\s]/)).optional(),
  count: z.int().min(1).optional(),
  allowedCudaVersions: z.array(cuda).optional(),
};
const cpu = z.array(z.strictObject({ id: z.string().min(1), vcpuCount: z.int().min(2) })).min(1);

const workers = z.strictObject({
  min: z.int().min(0).optional(),
  max: z.int().min(0).optional(),
  idleTimeout: z.int().min(1).max(3600).optional().describe("Seconds"),
});
const requestCount = z.strictObject({ type: z.literal("REQUEST_COUNT"), requestCount: z.int().min(1) });
const scaling = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("QUEUE_DELAY"), queueDelay: z.number().min(0.5) }),
  requestCount,
]);
const flashboot = z.enum(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]);

const endpoint = {
  ...optionalContainer,
  cpu: cpu.optional(),
  dataCenterIds: z.array(z.string()).optional(),
  networkVolumes: z.array(z.string()).optional(),
  templateId: z.string().min(1).optional(),
  timeout: z.int().min(0).optional().describe("Milliseconds"),
  workers: workers.optional(),
};

/** `POST /v2/serverless`. */
export const CreateEndpoint = z.strictObject({
  ...endpoint,
  name: z.string().min(1),
  type: z.enum(["QUEUE", "LOAD_BALANCER"]),
  scaling,
  gpu: z.strictObject({ ...gpu, minCudaVersion: cuda.optional() }).optional(),
  flashboot: flashboot.default("OFF"),
});
export type CreateEndpoint = z.output<typeof CreateEndpoint>;

/** `PATCH /v2/serverless/{id}`. Missing fields keep their values. */
export const UpdateEndpoint = z.strictObject({
  ...endpoint,
  name: z.string().min(1).optional(),
  scaling: scaling.optional(),
  gpu: z
    .strictObject({ ...gpu, pools: gpu.pools.optional(), minCudaVersion: z.union([cuda, z.literal("")]).optional() })
    .refine(({ pools, excludedTypes }) => pools !== undefined || excludedTypes === undefined, {
      message: "missing property 'pools'",
    })
    .optional(),
  flashboot: flashboot.optional(),
});
export type UpdateEndpoint = z.output<typeof UpdateEndpoint>;

const template = {
  ...optionalContainer,
  allowedCudaVersions: z.array(cuda).optional(),
  category: z.enum(["CPU", "NVIDIA", "AMD"]).optional(),
  mounts: z
    .strictObject({ persistent: z.strictObject({ size: z.int().min(10), path: z.string() }).optional() })
    .optional(),
  public: z.boolean().optional(),
  serverless: z.boolean().optional(),
  startJupyter: z.boolean().optional(),
  startSsh: z.boolean().optional(),
};

/** `POST /v2/templates`. */
export const CreateTemplate = z.strictObject({ ...template, name: z.string().min(1), image: container.image });
export type CreateTemplate = z.output<typeof CreateTemplate>;

/** `PATCH /v2/templates/{id}`. Missing fields keep their values. */
export const UpdateTemplate = z.strictObject({ ...template, name: z.string().min(1).optional() });
export type UpdateTemplate = z.output<typeof UpdateTemplate>;

const mounts = z.strictObject({
  persistent: z.strictObject({ size: z.int().min(10), path: z.string() }).optional(),
  network: z
    .array(z.strictObject({ volumeId: z.string(), path: z.string() }))
    .max(1)
    .optional(),
});

/** `POST /v2/pods`, without `templateId` and global networking, which the double does not have. */
export const CreatePod = z.strictObject({
  ...optionalContainer,
  name: z.string().min(1),
  image: container.image,
  entrypoint: z.array(z.string()).optional(),
  cmd: z.array(z.string()).optional(),
  cloud: z.enum(["SECURE", "COMMUNITY"]).default("SECURE"),
  cpu: z.strictObject({ id: z.string().min(1), vcpuCount: z.int().min(2) }).optional(),
  gpu: z
    .strictObject({
      id: z.string(),
      count: z.int().min(1).default(1),
      allowedCudaVersions: z.array(cuda).optional(),
      minCudaVersion: cuda.optional(),
    })
    .optional(),
  dataCenterIds: z.array(z.string()).optional(),
  mounts: mounts.optional(),
  startJupyter: z.boolean().optional(),
  startSsh: z.boolean().optional(),
});
export type CreatePod = z.output<typeof CreatePod>;

/** `POST /v2/registries`. */
export const CreateRegistry = z.strictObject({
  name: z.string().min(1),
  username: z.string().min(1),
  password: z.string().min(1),
});

/** `PATCH /v2/registries/{id}` (RunPod's API reference, 18 November 2026). */
export const UpdateRegistry = z.strictObject({
  username: z.string().min(1).max(191),
  password: z.string().min(1).max(16_384),
});

/** `POST /v2/registries/delegations`. */
export const CreateDelegation = z.strictObject({
  resource: z.string().describe("ARN of an ECR repository"),
  name: z.string().nullish(),
});

const secretName = z
  .string()
  .max(191)
  .regex(/^[a-zA-Z_][a-zA-Z0-9_.\-/]*$/, "does not match pattern '^[a-zA-Z_][a-zA-Z0-9_.\\-/]*$'");
const secretValue = z.string().min(1).max(16_777_215);
const secretDescription = z.string().max(65_535);

/** `POST /v2/account/secrets`. */
export const CreateSecret = z.strictObject({
  name: secretName,
  value: secretValue,
  description: secretDescription.optional(),
});

/** `PATCH /v2/account/secrets/{id}`. The name cannot be changed. */
export const UpdateSecret = z
  .strictObject({ value: secretValue.optional(), description: secretDescription.optional() })
  .refine((body) => Object.keys(body).length > 0, { message: "minProperties: got 0, want 1" });

/** `POST /v2/network-volumes`. */
export const CreateVolume = z.strictObject({
  name: z.string().min(1),
  size: z.int().min(10).max(4096).describe("GB"),
  dataCenter: z.string().min(1),
  type: z.enum(["STANDARD", "HIGH_PERFORMANCE"]).optional(),
});

/** `PATCH /v2/network-volumes/{id}`. */
export const UpdateVolume = z
  .strictObject({ name: z.string().min(1).optional(), size: z.int().min(10).max(4096).optional() })
  .refine((body) => Object.keys(body).length > 0, { message: "minProperties: got 0, want 1" });

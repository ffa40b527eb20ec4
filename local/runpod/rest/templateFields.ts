import { parseCommaList } from "../account/gpuSelection";
import type { EnvVar, Template, TemplateInput } from "../account/records";
import type { CreateTemplate, UpdateTemplate } from "./requestBodies";

/** Container fields of a request body. */
export interface ContainerBody {
  image?: string | undefined;
  args?: string | undefined;
  disk?: number | undefined;
  env?: Record<string, string> | undefined;
  ports?: string[] | undefined;
  registry?: string | null | undefined;
}

/** Default disk of a template, in GB (from REST v1). */
const DEFAULT_DISK_GB = 50;

/** Converts the body of `POST /v2/templates` to the account's input. */
export function templateFromCreate(body: CreateTemplate): TemplateInput {
  const defaults: TemplateInput = {
    name: body.name,
    imageName: body.image,
    containerDiskInGb: DEFAULT_DISK_GB,
    volumeInGb: 0,
    dockerArgs: "",
    env: [],
    isServerless: false,
    isPublic: false,
    startSsh: true,
    startJupyter: true,
    category: "NVIDIA",
  };
  return merge(defaults, body);
}

/** Applies the body of `PATCH /v2/templates/{id}` to a template. */
export function templateFromUpdate(
  { boundEndpointId, isCopy, ...before }: Template,
  body: UpdateTemplate,
): TemplateInput {
  return merge(before, body);
}

function merge(before: TemplateInput, body: UpdateTemplate): TemplateInput {
  const { mounts, env, ports } = body;
  return {
    ...before,
    ...(body.name !== undefined && { name: body.name }),
    ...(body.image !== undefined && { imageName: body.image }),
    ...(body.args !== undefined && { dockerArgs: body.args }),
    ...(body.disk !== undefined && { containerDiskInGb: body.disk }),
    ...(env && { env: envList(env) }),
    ...(ports && { ports: portsText(ports) }),
    ...(body.registry !== undefined && { containerRegistryAuthId: body.registry }),
    ...(mounts?.persistent && { volumeInGb: mounts.persistent.size, volumeMountPath: mounts.persistent.path }),
    ...(body.serverless !== undefined && { isServerless: body.serverless }),
    ...(body.public !== undefined && { isPublic: body.public }),
    ...(body.category !== undefined && { category: body.category }),
    ...(body.startSsh !== undefined && { startSsh: body.startSsh }),
    ...(body.startJupyter !== undefined && { startJupyter: body.startJupyter }),
    ...(body.allowedCudaVersions && { allowedCudaVersions: body.allowedCudaVersions }),
  };
}

/** A template in the format of REST v2. */
export function templateView(template: Template) {
  const { volumeInGb, volumeMountPath } = template;
  return {
    id: template.id,
    name: template.name,
    ...containerView(template),
    mounts: volumeInGb > 0 ? { persistent: { size: volumeInGb, path: volumeMountPath ?? "/workspace" } } : {},
    serverless: template.isServerless,
    public: template.isPublic,
    category: template.category ?? "NVIDIA",
    startSsh: template.startSsh,
    startJupyter: template.startJupyter,
    allowedCudaVersions: template.allowedCudaVersions ?? [],
  };
}

/** Container fields of a response body. */
export function containerView(template: Template) {
  return {
    image: template.imageName ?? "",
    args: template.dockerArgs,
    disk: template.containerDiskInGb,
    ports: parseCommaList(template.ports),
    env: Object.fromEntries(template.env.map(({ key, value }) => [key, value])),
    registry: template.containerRegistryAuthId || null,
  };
}

/** Converts environment variables to the account's format. */
export function envList(env: Record<string, string>): EnvVar[] {
  return Object.entries(env).map(([key, value]) => ({ key, value }));
}

/** Converts ports to the account's format. */
export function portsText(ports: string[]): string | null {
  return ports.join(",") || null;
}

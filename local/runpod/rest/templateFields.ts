import { commaList } from "../account/gpuSelection";
import type { EnvVar, Template, TemplateInput } from "../account/records";
import type { CreateTemplate, UpdateTemplate } from "./bodies";

/** The container's part of a body. */
export interface ContainerBody {
  image?: string | undefined;
  args?: string | undefined;
  disk?: number | undefined;
  env?: Record<string, string> | undefined;
  ports?: string[] | undefined;
  registry?: string | null | undefined;
}

/** Disk of a template that names none, in GB (REST v1's default). */
const DEFAULT_DISK_GB = 50;

/** What `POST /v2/templates` asks for. */
export function createdTemplate(body: CreateTemplate): TemplateInput {
  const blank: TemplateInput = {
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
  return merged(blank, body);
}

/** What `PATCH /v2/templates/{id}` makes of a template. */
export function updatedTemplate({ boundEndpointId, isCopy, ...before }: Template, body: UpdateTemplate): TemplateInput {
  return merged(before, body);
}

function merged(before: TemplateInput, body: UpdateTemplate): TemplateInput {
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

/** A template as REST v2 shows it. */
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

/** The container's part of an answer. */
export function containerView(template: Template) {
  return {
    image: template.imageName ?? "",
    args: template.dockerArgs,
    disk: template.containerDiskInGb,
    ports: commaList(template.ports),
    env: Object.fromEntries(template.env.map(({ key, value }) => [key, value])),
    registry: template.containerRegistryAuthId || null,
  };
}

/** An environment as GraphQL writes it. */
export function envList(env: Record<string, string>): EnvVar[] {
  return Object.entries(env).map(([key, value]) => ({ key, value }));
}

/** Ports as GraphQL writes them. */
export function portsText(ports: string[]): string | null {
  return ports.join(",") || null;
}

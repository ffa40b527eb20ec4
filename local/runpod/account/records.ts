/** One environment variable, as RunPod writes it. */
export interface EnvVar {
  key: string;
  value: string;
}

/** `SaveTemplateInput` with its defaults filled in. */
export interface TemplateInput {
  id?: string | null;
  name: string;
  imageName?: string | null;
  containerDiskInGb: number;
  volumeInGb: number;
  dockerArgs: string;
  env: EnvVar[];
  isServerless: boolean;
  isPublic: boolean;
  readme?: string | null;
  containerRegistryAuthId?: string | null;
  /** Such as `8888/http,22/tcp`. */
  ports?: string | null;
  portsConfig?: { port: string; name: string }[] | null;
  volumeMountPath?: string | null;
  startSsh: boolean;
  startJupyter: boolean;
  startScript?: string | null;
  advancedStart?: boolean | null;
  category?: string | null;
  config?: unknown;
  /** REST v2 only. */
  allowedCudaVersions?: string[];
}

/** A stored template. */
export interface Template extends Omit<TemplateInput, "id"> {
  id: string;
  boundEndpointId: string | null;
  /** True for one that REST v2 made for an endpoint: it goes with the endpoint. */
  isCopy: boolean;
}

/** A template that comes with its endpoint: no volume, always serverless. */
export type InlineTemplate = Omit<TemplateInput, "id" | "volumeInGb" | "isServerless" | "isPublic" | "volumeMountPath">;

/** `EndpointInput` with its defaults filled in. */
export interface EndpointInput {
  id?: string | null;
  name: string;
  /** `QB` or `LB`. */
  type: string;
  gpuIds?: string | null;
  gpuCount: number;
  /** CPU flavours, such as `cpu5c-4-8`: flavour, vCPUs, GB of memory. */
  instanceIds?: string[] | null;
  /** Seconds. */
  idleTimeout: number;
  locations?: string | null;
  networkVolumeId?: string | null;
  networkVolumeIds?: { networkVolumeId: string }[] | null;
  scalerType: string;
  scalerValue: number;
  workersMin: number;
  workersMax: number;
  workersPFBTarget: number;
  templateId?: string | null;
  template?: InlineTemplate | null;
  bindEndpoint: boolean;
  env?: EnvVar[] | null;
  allowedCudaVersions?: string | null;
  minCudaVersion?: string | null;
  executionTimeoutMs: number;
  flashBootType: string;
  modelName?: string | null;
  modelReferences?: string[] | null;
  flashEnvironmentId?: string | null;
}

/** A stored endpoint. */
export interface Endpoint extends Omit<EndpointInput, "id" | "template" | "templateId" | "bindEndpoint"> {
  id: string;
  templateId: string;
  userId: string;
  /** Goes up with each change that rolls the workers. */
  version: number;
  /** The key its workers present. Secret. */
  aiKey: string;
  createdAt: string;
}

/** One field that a release changed, by RunPod's name for it. */
export interface FieldChange {
  field: string;
  old: unknown;
  new: unknown;
}

/** One version of an endpoint and what made it. */
export interface ReleaseRecord {
  id: string;
  version: number;
  createdAt: string;
  diff: FieldChange[];
}

/** A registry credential. Of the password only a hash is kept: enough to tell a renewed token from the old one. */
export interface RegistryAuth {
  id: string;
  name: string;
  username: string;
  passwordHash: string;
  /** The registry no longer takes it, as ECR's tokens after 12 hours. */
  isExpired: boolean;
}

/** Permission to pull from one ECR repository by RunPod's own AWS role. */
export interface Delegation {
  id: string;
  name: string | null;
  delegatorUserId: string;
  awsUser: string;
  repository: string;
  tag: string;
  awsRegion: string;
  dockerRegistryUri: string;
  createdAt: string;
}

/** A network volume. */
export interface NetworkVolume {
  id: string;
  name: string;
  /** GB. */
  size: number;
  dataCenterId: string;
}

/** A secret that templates refer to as `{{ RUNPOD_SECRET_name }}`. Its value is not kept: nothing reads it here. */
export interface Secret {
  id: string;
  name: string;
  description: string | null;
  createdAt: string;
  updatedAt: string | null;
}

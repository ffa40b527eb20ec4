/** Environment variable in RunPod's format. */
export interface EnvVar {
  key: string;
  value: string;
}

/** Fields of `SaveTemplateInput`, including default values. */
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
  /** Comma-separated, for example `8888/http,22/tcp`. */
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

/** Stored template. */
export interface Template extends Omit<TemplateInput, "id"> {
  id: string;
  boundEndpointId: string | null;
  /** Whether REST v2 created the template for one endpoint. Such a template is deleted with the endpoint. */
  isCopy: boolean;
}

/** Template inside an endpoint's input. It has no volume and is always serverless. */
export type InlineTemplate = Omit<TemplateInput, "id" | "volumeInGb" | "isServerless" | "isPublic" | "volumeMountPath">;

/** Fields of `EndpointInput`, including default values. */
export interface EndpointInput {
  id?: string | null;
  name: string;
  /** `QB` or `LB`. */
  type: string;
  gpuIds?: string | null;
  gpuCount: number;
  /** CPU instances, for example `cpu5c-4-8`: flavor, vCPUs, GB of memory. */
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

/** Stored endpoint. */
export interface Endpoint extends Omit<EndpointInput, "id" | "template" | "templateId" | "bindEndpoint"> {
  id: string;
  templateId: string;
  userId: string;
  /** Version number. Each change that replaces the workers increases it by one. */
  version: number;
  /** Key that the endpoint's workers use. Secret. */
  aiKey: string;
  createdAt: string;
}

/** Field that a release changed, with RunPod's field name. */
export interface FieldChange {
  field: string;
  old: unknown;
  new: unknown;
}

/** Version of an endpoint with the changes that caused it. */
export interface ReleaseRecord {
  id: string;
  version: number;
  createdAt: string;
  diff: FieldChange[];
}

/** Registry credential. The double stores only a hash of the password. The hash is enough to detect a renewed token. */
export interface RegistryAuth {
  id: string;
  name: string;
  username: string;
  passwordHash: string;
  /** Whether the registry refuses the credential. It refuses an ECR token after 12 hours. */
  isExpired: boolean;
}

/** ECR delegation: permission for RunPod's AWS role to pull from one ECR repository. */
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

/** Network volume. */
export interface NetworkVolume {
  id: string;
  name: string;
  /** Size in GB. */
  size: number;
  dataCenterId: string;
}

/** Secret that environments refer to as `{{ RUNPOD_SECRET_<name> }}`. A worker gets the value when it starts. */
export interface Secret {
  id: string;
  name: string;
  /** No API returns the value. */
  value: string;
  description: string | null;
  createdAt: string;
  updatedAt: string | null;
  valueLastUpdatedAt: string;
}

/** Line of the log of a worker or a pod. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  at: number;
  line: string;
  /** Default: `system`, a line of the host. */
  source?: "system" | "container";
}

/** Settings of a new pod, with default values. */
export interface PodInput {
  name: string;
  image: string;
  args: string;
  /** GB. */
  disk: number;
  ports: string[];
  env: Record<string, string>;
  registry: string | null;
  gpu: { id: string; count: number };
  cloud: "SECURE" | "COMMUNITY";
  dataCenterIds: string[];
}

/** Status of a pod that exists. */
export type PodStatus = "PROVISIONING" | "STARTING" | "RUNNING" | "EXITED";

/** A pod. */
export interface Pod extends PodInput {
  id: string;
  status: PodStatus;
  createdAt: string;
  startedAt: string | null;
  /** US dollars per hour while the pod has a GPU. */
  hourlyUsd: number;
  log: LogLine[];
}

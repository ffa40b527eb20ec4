/** One environment variable, as RunPod writes it. */
interface EnvVar {
  key: string;
  value: string;
}

/** `SaveTemplateInput` after GraphQL has filled in its defaults. */
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
  ports?: string | null;
  volumeMountPath?: string | null;
  startSsh: boolean;
  startJupyter: boolean;
  startScript?: string | null;
  category?: string | null;
}

/** A stored template. */
export interface Template extends Omit<TemplateInput, "id"> {
  id: string;
  boundEndpointId: string | null;
}

/** `EndpointInput` after GraphQL has filled in its defaults. */
export interface EndpointInput {
  id?: string | null;
  name: string;
  type: string;
  gpuIds?: string | null;
  gpuCount: number;
  instanceIds?: string[] | null;
  /** Seconds. */
  idleTimeout: number;
  locations?: string | null;
  networkVolumeId?: string | null;
  scalerType: string;
  scalerValue: number;
  workersMin: number;
  workersMax: number;
  templateId?: string | null;
  template?: Pick<TemplateInput, "name" | "imageName" | "containerDiskInGb" | "dockerArgs" | "env"> | null;
  bindEndpoint: boolean;
  allowedCudaVersions?: string | null;
  minCudaVersion?: string | null;
  executionTimeoutMs: number;
  flashBootType: string;
  modelReferences?: string[] | null;
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

/** A registry credential. Its username and password are checked and forgotten: nothing is pulled here. */
export interface RegistryAuth {
  id: string;
  name: string;
}

/** What a template is made of, whichever API carries it. */
export interface TemplateSettings {
  name: string;
  imageName: string;
  env: Record<string, string>;
  containerDiskInGb: number;
  /** Overrides the image's command; empty keeps it. */
  dockerArgs: string;
  containerRegistryAuthId?: string | undefined;
}

/** A template as RunPod has it. */
export interface TemplateRecord extends TemplateSettings {
  id: string;
}

/** What a serverless endpoint is made of, whichever API carries it. */
export interface EndpointSettings {
  name: string;
  templateId: string;
  /** Pools, and GPU types taken out of them (`-NVIDIA L4`). */
  gpuIds: string[];
  gpuCount: number;
  workersMin: number;
  workersMax: number;
  idleTimeoutSeconds: number;
  scalerType: string;
  scalerValue: number;
  /** 0 is no limit. */
  executionTimeoutMs: number;
  flashBootType: string;
  /** Data centres; none is anywhere. */
  locations: string[];
  minCudaVersion?: string | undefined;
  /** Models that hosts keep ready; none where the API does not know them. */
  modelReferences: string[];
}

/** An endpoint as RunPod has it. */
export interface EndpointRecord extends EndpointSettings {
  id: string;
  /** The stack whose mark it carries, itself or through its template. */
  owner: string | undefined;
}

/** Credentials for a registry that wants some before it gives an image. */
export interface RegistryAuthSettings {
  name: string;
  username: string;
  /** A secret: RunPod never gives it back. */
  password: string;
}

/** Credentials as RunPod shows them. */
export interface RegistryAuthRecord {
  id: string;
  name: string;
}

/** What RunPod tells of the account itself. */
export interface AccountRecord {
  balanceDollars: number;
  spendDollarsPerHour: number;
}

/**
 * RunPod's control plane as the provider needs it. Every method throws `RunpodError`, retries what may be repeated safely,
 * and never repeats a create by itself: after a transient error the caller looks up what exists.
 */
export interface RunpodClient {
  /** Undefined where the API does not tell: REST knows no account. */
  getAccount(): Promise<AccountRecord | undefined>;
  /** Most workers over all endpoints of the account; undefined where the API does not tell. */
  getWorkerQuota(): Promise<number | undefined>;

  /** Template names are unique per account. */
  findTemplateByName(name: string): Promise<TemplateRecord | undefined>;
  getTemplate(id: string): Promise<TemplateRecord | undefined>;
  /** Replaces the whole template `id`, which rolls the workers of its endpoints, or creates one when no id is given. */
  saveTemplate(settings: TemplateSettings, id?: string): Promise<{ id: string }>;
  /** Does nothing when the template is gone. Refused while an endpoint uses it and for about two minutes after. */
  deleteTemplate(id: string): Promise<void>;

  /** All of the account. Their names are not unique. */
  listEndpoints(): Promise<EndpointRecord[]>;
  getEndpoint(id: string): Promise<EndpointRecord | undefined>;
  /** A number that counts up with each change that rolls an endpoint's workers; undefined where the API does not tell. */
  getEndpointVersion(id: string): Promise<number | undefined>;
  /** Replaces the whole endpoint `id`, or creates one when no id is given. */
  saveEndpoint(settings: EndpointSettings, id?: string): Promise<{ id: string }>;
  /** Lets an endpoint have no workers, and changes nothing else: only then RunPod deletes it. */
  scaleToZero(endpoint: EndpointRecord): Promise<void>;
  /** Does nothing when the endpoint is gone. Refused unless both worker counts are 0. */
  deleteEndpoint(id: string): Promise<void>;

  /** All of the account. Their names are unique. */
  listRegistryAuths(): Promise<RegistryAuthRecord[]>;
  createRegistryAuth(settings: RegistryAuthSettings): Promise<{ id: string }>;
  /** Replaces username and password; the name stays. The REST API refuses. */
  updateRegistryAuth(id: string, settings: Omit<RegistryAuthSettings, "name">): Promise<void>;
  /** Does nothing when the credentials are gone. */
  deleteRegistryAuth(id: string): Promise<void>;
}

/** How an API is reached. */
export interface ApiOptions {
  apiKey: string;
  /** `https://api.runpod.io`, or where else the control plane is. */
  url: string;
  /** Milliseconds one call may take, 30000 unless told. */
  timeoutMs?: number;
}

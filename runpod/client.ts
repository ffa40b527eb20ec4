import type { Listing } from "./nullable";

/** Fields of a template, the same for the GraphQL API and the REST API. */
export interface TemplateSettings {
  name: string;
  imageName: string;
  env: Record<string, string>;
  containerDiskInGb: number;
  /** Overrides the image's command. An empty text keeps the image's command. */
  dockerArgs: string;
  containerRegistryAuthId?: string | undefined;
}

/** A template as RunPod returns it. */
export interface TemplateRecord extends TemplateSettings {
  id: string;
}

/** Fields of a serverless endpoint, the same for the GraphQL API and the REST API. */
export interface EndpointSettings {
  name: string;
  templateId: string;
  /** GPU pools and excluded GPU types. An excluded type begins with a minus (`-NVIDIA L4`). */
  gpuIds: string[];
  gpuCount: number;
  workersMin: number;
  workersMax: number;
  idleTimeoutSeconds: number;
  scalerType: string;
  scalerValue: number;
  /** 0 means no limit. */
  executionTimeoutMs: number;
  flashBootType: string;
  /** Data centres. An empty list allows all data centres. */
  locations: string[];
  minCudaVersion?: string | undefined;
  /** Models that RunPod's hosts download in advance. Empty if the API does not support this. */
  modelReferences: string[];
}

/** An endpoint as RunPod returns it. */
export interface EndpointRecord extends Omit<EndpointSettings, "idleTimeoutSeconds" | "modelReferences"> {
  id: string;
  /** Undefined when the API does not return this field. */
  idleTimeoutSeconds: number | undefined;
  /** Undefined when the API does not return this field. */
  modelReferences: string[] | undefined;
  /**
   * Id of the template that the endpoint must run. The field `templateId` has the same value, but it is empty while the
   * endpoint's container differs from the template.
   */
  sourceTemplateId: string | undefined;
  /** Stack that owns the endpoint, from the owner tag of the endpoint or its template. */
  owner: string | undefined;
}

/** Credentials of a private image registry. */
interface RegistryAuthSettings {
  name: string;
  username: string;
  /** A secret. RunPod never returns it. */
  password: string;
}

/** Registry credentials as RunPod returns them. */
export interface RegistryAuthRecord {
  id: string;
  name: string;
}

/** A secret of the account. A template's environment refers to it as `{{ RUNPOD_SECRET_<name> }}`. */
interface SecretSettings {
  name: string;
  /** RunPod never returns it. */
  value: string;
}

/** A secret as RunPod returns it. */
export interface SecretRecord {
  id: string;
  name: string;
}

/** Balance and spending of the account. */
export interface AccountRecord {
  balanceDollars: number;
  /** Undefined when the API does not return this field. */
  spendDollarsPerHour: number | undefined;
  /** Whether RunPod bills by invoice. Workers then start even without a balance. */
  isPostpaid: boolean;
}

/** Reads the account. */
export interface AccountApi {
  /** Undefined when the API does not return the account. */
  getAccount(): Promise<AccountRecord | undefined>;
  /**
   * Maximum number of workers over all endpoints of the account. Undefined when the API does not return this number.
   */
  getWorkerQuota(): Promise<number | undefined>;
}

/** The control plane that a client uses. */
interface ControlPlane {
  api: "graphql" | "rest";
  /** Date on which the API shuts down, from RunPod's `Sunset` header (RFC 8594). */
  endsAt: Date | undefined;
}

/** Returns the control plane that the client uses. */
export interface ControlPlaneApi {
  getControlPlane(): Promise<ControlPlane>;
}

/** Reads and writes templates. Their names are unique per account. */
export interface TemplateApi {
  findTemplateByName(name: string): Promise<TemplateRecord | undefined>;
  getTemplate(id: string): Promise<TemplateRecord | undefined>;
  /**
   * Replaces the whole template `id`. RunPod then rolls the workers of the template's endpoints. Without an id, creates
   * a template.
   */
  saveTemplate(settings: TemplateSettings, id?: string): Promise<{ id: string }>;
  /**
   * Does nothing when the template does not exist. RunPod refuses the delete while an endpoint uses the template and
   * for two minutes after the last use.
   */
  deleteTemplate(id: string): Promise<void>;
}

/** Reads and writes serverless endpoints. Their names are not unique. */
export interface EndpointApi {
  listEndpoints(): Promise<EndpointRecord[]>;
  getEndpoint(id: string): Promise<EndpointRecord | undefined>;
  /**
   * Returns the version number. RunPod increments the number at each change that rolls the workers. Undefined when the
   * API does not return the number.
   */
  getEndpointVersion(id: string): Promise<number | undefined>;
  /** Replaces the whole endpoint `id`. Without an id, creates an endpoint. */
  saveEndpoint(settings: EndpointSettings, id?: string): Promise<{ id: string }>;
  /**
   * Sets `workersMin` and `workersMax` to 0 and keeps all other fields. RunPod refuses to delete an endpoint with other
   * counts.
   */
  scaleToZero(endpoint: EndpointRecord): Promise<void>;
  /**
   * Does nothing when the endpoint does not exist. RunPod accepts the delete only if `workersMin` and `workersMax` are
   * 0.
   */
  deleteEndpoint(id: string): Promise<void>;
}

/** Reads and writes registry credentials. Their names are unique per account. */
export interface RegistryAuthApi {
  listRegistryAuths(): Promise<Listing<RegistryAuthRecord>>;
  createRegistryAuth(settings: RegistryAuthSettings): Promise<{ id: string }>;
  /** Replaces the user name and the password. The name of the credentials stays. */
  updateRegistryAuth(id: string, settings: Omit<RegistryAuthSettings, "name">): Promise<void>;
  /** Does nothing when the credentials do not exist. */
  deleteRegistryAuth(id: string): Promise<void>;
}

/** Reads and writes secrets. Their names are unique per account. */
export interface SecretApi {
  listSecrets(): Promise<Listing<SecretRecord>>;
  createSecret(settings: SecretSettings): Promise<{ id: string }>;
  /** Replaces the value. A worker gets the new value when it starts. */
  updateSecret(id: string, value: string): Promise<void>;
  /** Does nothing when the secret does not exist. */
  deleteSecret(id: string): Promise<void>;
}

/**
 * RunPod's control plane. Every method throws `RunpodError`. Methods retry operations that are safe to repeat, but
 * never a create. After a transient error of a create, the caller checks whether the resource exists.
 */
export interface RunpodClient
  extends ControlPlaneApi,
    AccountApi,
    TemplateApi,
    EndpointApi,
    RegistryAuthApi,
    SecretApi {}

/** Address and key of an API. */
export interface ApiOptions {
  apiKey: string;
  /** `https://api.runpod.io`, or another address of the control plane. */
  url: string;
  /** Time limit of one attempt in milliseconds. Default 30000. */
  timeoutMs?: number;
}

/** Cloudflare in front of RunPod blocks the user agents of HTTP libraries (documented in RunPod's own plugin). */
export const USER_AGENT = "Mozilla/5.0 (compatible; snack-misaki; pulumi)";

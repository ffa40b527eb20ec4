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
}

/** An endpoint as RunPod has it. */
export interface EndpointRecord extends EndpointSettings {
  id: string;
}

/**
 * RunPod's control plane as the provider needs it. Every method throws `RunpodError`, retries what may be repeated safely,
 * and never repeats a create by itself: after a transient error the caller looks up what exists.
 */
export interface RunpodClient {
  /** Template names are unique per account. */
  findTemplateByName(name: string): Promise<TemplateRecord | undefined>;
  getTemplate(id: string): Promise<TemplateRecord | undefined>;
  /** Replaces the whole template `id`, or creates one when no id is given. */
  saveTemplate(settings: TemplateSettings, id?: string): Promise<TemplateRecord>;
  /** Does nothing when the template is gone. Refused while an endpoint uses it and for about two minutes after. */
  deleteTemplate(id: string): Promise<void>;

  /** Endpoint names are not unique. */
  findEndpointsByName(name: string): Promise<EndpointRecord[]>;
  getEndpoint(id: string): Promise<EndpointRecord | undefined>;
  /** Replaces the whole endpoint `id`, or creates one when no id is given. */
  saveEndpoint(settings: EndpointSettings, id?: string): Promise<EndpointRecord>;
  /** Does nothing when the endpoint is gone. Refused unless both worker counts are 0. */
  deleteEndpoint(id: string): Promise<void>;
}

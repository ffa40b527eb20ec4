import { type AccountFile, openAccount } from "./accountFile";
import type { Clock } from "./clock";
import { newAiKey, newId } from "./ids";
import type {
  Endpoint,
  EndpointInput,
  FieldChange,
  InlineTemplate,
  RegistryAuth,
  ReleaseRecord,
  Template,
  TemplateInput,
} from "./records";
import { Registries } from "./registries";
import { AccountError, checkEndpoint, checkTemplate, endpointChanges, templateChanges } from "./rules";
import { Secrets } from "./secrets";
import { NetworkVolumes } from "./volumes";

/** What may be set about an account. */
export interface AccountOptions {
  /** Sum of `workersMax` over all endpoints. RunPod gives 5 to a new account. */
  workersQuota: number;
  /** How long a template counts as in use after its last endpoint is gone. RunPod takes up to two minutes. */
  templateHoldMs: number;
  clock: Clock;
  /** True when the registry has the image. RunPod asks it when a template is saved. */
  imageExists(imageName: string): boolean;
  /** Id and key of an endpoint that is being created, where they are decided already. */
  claimEndpoint?: () => { id: string; aiKey: string } | undefined;
}

const DAY_MS = 86_400_000;

/**
 * A RunPod account: its templates, endpoints and registry credentials, kept in one file, under the rules that RunPod
 * documents. GraphQL and REST v2 are two faces of it. Every mutation either obeys all rules or throws an AccountError
 * and changes nothing.
 */
export class RunpodAccount {
  readonly registries: Registries;
  readonly networkVolumes: NetworkVolumes;
  readonly secrets: Secrets;
  private readonly file: AccountFile;
  private readonly lastUseOfTemplate = new Map<string, number>();
  /** What the clock had skipped when an endpoint last had a request. */
  private readonly skippedBefore = new Map<string, number>();

  constructor(
    path: string,
    private readonly options: AccountOptions,
  ) {
    this.file = openAccount(path);
    this.registries = new Registries(this.file, options.clock);
    this.networkVolumes = new NetworkVolumes(this.file);
    this.secrets = new Secrets(this.file, options.clock);
  }

  get userId(): string {
    return this.file.data.userId;
  }

  get workersQuota(): number {
    return this.options.workersQuota;
  }

  get templates(): Template[] {
    return Object.values(this.file.data.templates);
  }

  get endpoints(): Endpoint[] {
    return Object.values(this.file.data.endpoints);
  }

  get registryAuths(): RegistryAuth[] {
    return this.registries.all;
  }

  template(id: string): Template | undefined {
    return this.file.data.templates[id];
  }

  endpoint(id: string): Endpoint | undefined {
    return this.file.data.endpoints[id];
  }

  /** An endpoint's versions, the newest first. */
  releases(endpointId: string): ReleaseRecord[] {
    return this.file.data.releases[endpointId] ?? [];
  }

  /** Creates a template, or replaces the one with `input.id`. */
  saveTemplate(input: TemplateInput): Template {
    const { id, ...fields } = input;
    const before = id ? this.requireTemplate(id) : undefined;
    const template = this.storeTemplate(fields, before, before?.isCopy ?? false);
    const changes = before ? templateChanges(before, template) : [];
    if (changes.length > 0) for (const endpoint of this.endpointsUsing(template.id)) this.newRelease(endpoint, changes);
    this.file.save();
    return template;
  }

  /** Deletes a template by its name, as GraphQL does. */
  deleteTemplateNamed(name: string): void {
    const template = this.templates.find((one) => one.name === name);
    if (!template) throw new AccountError("Template not found", "missing");
    this.deleteTemplate(template.id);
  }

  /** Deletes a template. */
  deleteTemplate(id: string): void {
    const template = this.requireTemplate(id);
    const lastUse = this.lastUseOfTemplate.get(id) ?? Number.NEGATIVE_INFINITY;
    const isHeld = this.options.clock.now() - lastUse < this.options.templateHoldMs;
    if (this.endpointsUsing(id).length > 0 || isHeld)
      throw new AccountError("Template is in use and cannot be deleted");
    delete this.file.data.templates[template.id];
    this.file.save();
  }

  /**
   * Creates an endpoint, or replaces the one with `input.id` whole: what is left out goes back to its default.
   *
   * @param copiesTemplate true when the inline template is REST v2's own copy, which goes with the endpoint
   */
  saveEndpoint(input: EndpointInput, copiesTemplate = false): Endpoint {
    const { id, template: inline, templateId, bindEndpoint, ...fields } = input;
    const before = id ? this.requireEndpoint(id) : undefined;
    checkEndpoint(fields);
    if (before && before.type !== fields.type) throw new AccountError("The type of an endpoint cannot be changed");
    this.checkQuota(fields.workersMax, before);
    this.checkVolumes(fields);
    if (inline && templateId) throw new AccountError("Give template or templateId, not both");
    if (!inline && !templateId) throw new AccountError("templateId is required");
    const templateBefore = before && this.template(before.templateId);
    const template = inline
      ? this.saveInlineTemplate(inline, templateBefore, copiesTemplate)
      : this.requireTemplate(templateId ?? "");
    if (!template.isServerless) throw new AccountError("The template must be serverless", "kind");

    const { id: endpointId, aiKey } = before ?? this.options.claimEndpoint?.() ?? { id: newId(), aiKey: newAiKey() };
    const endpoint: Endpoint = {
      ...fields,
      id: endpointId,
      templateId: template.id,
      userId: this.userId,
      version: before?.version ?? 0,
      aiKey,
      createdAt: before?.createdAt ?? this.options.clock.timestamp(),
    };
    const changes = before ? [...endpointChanges(before, endpoint), ...changeOfTemplate(templateBefore, template)] : [];
    this.file.data.endpoints[endpoint.id] = endpoint;
    if (!before || changes.length > 0) this.newRelease(endpoint, changes);
    if (before && before.templateId !== template.id) this.release(before.templateId);
    if (bindEndpoint) template.boundEndpointId = endpoint.id;
    this.file.save();
    return endpoint;
  }

  /** Points an endpoint at another template. */
  updateEndpointTemplate(endpointId: string, templateId: string): Endpoint {
    const endpoint = this.requireEndpoint(endpointId);
    const template = this.requireTemplate(templateId);
    if (!template.isServerless) throw new AccountError("The template must be serverless", "kind");
    const before = endpoint.templateId;
    if (before !== templateId) {
      const changes = changeOfTemplate(this.template(before), template);
      endpoint.templateId = templateId;
      this.newRelease(endpoint, changes);
      this.release(before);
      this.file.save();
    }
    return endpoint;
  }

  /** Deletes an endpoint that has been scaled to zero, as GraphQL demands. */
  deleteEndpoint(id: string): void {
    const endpoint = this.requireEndpoint(id);
    if (endpoint.workersMin !== 0 || endpoint.workersMax !== 0)
      throw new AccountError("workersMin and workersMax must both be 0 before an endpoint can be deleted");
    this.removeEndpoint(endpoint);
  }

  /** Deletes an endpoint with the template bound to it, whatever it is doing, as REST v2 does. */
  deleteEndpointWithTemplate(id: string): void {
    const endpoint = this.requireEndpoint(id);
    const isBound = this.template(endpoint.templateId)?.boundEndpointId === id;
    this.removeEndpoint(endpoint);
    if (isBound && this.endpointsUsing(endpoint.templateId).length === 0) {
      delete this.file.data.templates[endpoint.templateId];
      this.file.save();
    }
  }

  /** Deletes a registry credential. Templates lose it silently, as at RunPod. */
  deleteRegistryAuth(id: string): void {
    this.registries.remove(id);
    for (const template of this.templates)
      if (template.containerRegistryAuthId === id) template.containerRegistryAuthId = null;
    this.file.save();
  }

  /** Deletes a network volume that no endpoint is pinned to. */
  deleteNetworkVolume(id: string): void {
    if (this.endpoints.some((endpoint) => volumesOf(endpoint).includes(id)))
      throw new AccountError("Network volume is in use and cannot be deleted");
    this.networkVolumes.remove(id);
  }

  /** An endpoint got a request: it is not idle. */
  noteRequest(endpointId: string): void {
    this.skippedBefore.set(endpointId, this.options.clock.skippedMs);
  }

  /**
   * What RunPod does by itself as time is skipped: an endpoint without a request for 3 days is lowered to 2 workers,
   * after 7 days to none (docs, endpoint configurations), and ECR tokens die after 12 hours.
   */
  sweep(): void {
    for (const endpoint of this.endpoints) {
      const idleMs = this.options.clock.skippedMs - (this.skippedBefore.get(endpoint.id) ?? 0);
      const idleDays = idleMs / DAY_MS;
      const most = idleDays >= 7 ? 0 : idleDays >= 3 ? 2 : Number.POSITIVE_INFINITY;
      endpoint.workersMax = Math.min(endpoint.workersMax, most);
      endpoint.workersMin = Math.min(endpoint.workersMin, endpoint.workersMax);
    }
    this.registries.sweep();
    this.file.save();
  }

  private storeTemplate(fields: Omit<TemplateInput, "id">, before: Template | undefined, isCopy: boolean): Template {
    checkTemplate(fields);
    if (this.templates.some((other) => other.name === fields.name && other.id !== before?.id))
      throw new AccountError("Template name must be unique");
    if (fields.containerRegistryAuthId) this.registries.require(fields.containerRegistryAuthId);
    const { imageName } = fields;
    if (imageName && imageName !== before?.imageName && !this.options.imageExists(imageName))
      throw new AccountError(`imageName ${imageName}: manifest unknown`, "image");

    const template: Template = {
      ...fields,
      id: before?.id ?? newId(),
      boundEndpointId: before?.boundEndpointId ?? null,
      isCopy,
    };
    this.file.data.templates[template.id] = template;
    this.file.save();
    return template;
  }

  private checkQuota(workersMax: number, before?: Endpoint): void {
    const others = this.endpoints.filter(({ id }) => id !== before?.id);
    const workers = others.reduce((sum, endpoint) => sum + endpoint.workersMax, workersMax);
    if (workers > this.options.workersQuota)
      throw new AccountError(
        `Your worker concurrency cannot go beyond the maximum limit of (${this.options.workersQuota}) workers`,
      );
  }

  private checkVolumes(input: Pick<EndpointInput, "networkVolumeId" | "networkVolumeIds">): void {
    for (const id of volumesOf(input)) this.networkVolumes.require(id);
  }

  private saveInlineTemplate(inline: InlineTemplate, current: Template | undefined, isCopy: boolean): Template {
    const before = current?.name === inline.name ? current : undefined;
    const serverless = { volumeInGb: 0, isServerless: true, isPublic: false };
    return this.storeTemplate({ ...serverless, ...inline }, before, before?.isCopy ?? isCopy);
  }

  private newRelease(endpoint: Endpoint, diff: FieldChange[]): void {
    endpoint.version += 1;
    const release = { id: newId("rel_"), version: endpoint.version, createdAt: this.options.clock.timestamp(), diff };
    this.file.data.releases[endpoint.id] = [release, ...this.releases(endpoint.id)];
  }

  private endpointsUsing(templateId: string): Endpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.templateId === templateId);
  }

  private removeEndpoint(endpoint: Endpoint): void {
    delete this.file.data.endpoints[endpoint.id];
    delete this.file.data.releases[endpoint.id];
    this.skippedBefore.delete(endpoint.id);
    this.release(endpoint.templateId);
    this.file.save();
  }

  /** An endpoint no longer uses the template. */
  private release(templateId: string): void {
    this.lastUseOfTemplate.set(templateId, this.options.clock.now());
    const template = this.template(templateId);
    if (!template) return;
    template.boundEndpointId = null;
    if (template.isCopy && this.endpointsUsing(templateId).length === 0) delete this.file.data.templates[templateId];
  }

  private requireTemplate(id: string): Template {
    const template = this.template(id);
    if (!template) throw new AccountError("Template not found", "missing");
    return template;
  }

  private requireEndpoint(id: string): Endpoint {
    const endpoint = this.endpoint(id);
    if (!endpoint) throw new AccountError("Endpoint not found", "missing");
    return endpoint;
  }
}

function volumesOf({ networkVolumeId, networkVolumeIds }: Pick<EndpointInput, "networkVolumeId" | "networkVolumeIds">) {
  const ids = networkVolumeIds?.map((one) => one.networkVolumeId) ?? [];
  return networkVolumeId ? [...ids, networkVolumeId] : ids;
}

/** What a release records of an endpoint's template: another one, or another state of it. */
function changeOfTemplate(before: Template | undefined, after: Template): FieldChange[] {
  const moved = before?.id === after.id ? [] : [{ field: "templateId", old: before?.id ?? null, new: after.id }];
  return before ? [...moved, ...templateChanges(before, after)] : moved;
}

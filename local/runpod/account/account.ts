import { type AccountFile, openAccount } from "./accountFile";
import type { Clock } from "./clock";
import { newAiKey, newId } from "./ids";
import { ListLag } from "./listLag";
import type {
  Endpoint,
  EndpointInput,
  FieldChange,
  InlineTemplate,
  RegistryAuth,
  ReleaseRecord,
  Secret,
  Template,
  TemplateInput,
} from "./records";
import { Registries } from "./registries";
import { AccountError, checkEndpoint, checkTemplate, endpointChanges, templateChanges } from "./rules";
import { Secrets } from "./secrets";
import { NetworkVolumes } from "./volumes";

/** Options of an account. */
export interface AccountOptions {
  /** Maximum of the sum of `workersMax` over all endpoints. RunPod gives a new account 5. */
  workersQuota: number;
  /**
   * Milliseconds for which a template still counts as in use after the deletion of its only endpoint. At RunPod: up to
   * two minutes.
   */
  templateHoldMs: number;
  clock: Clock;
  /** Milliseconds after which lists show a change. */
  listLagMs(): number;
  /** Whether the registry has the image. RunPod checks the image when it saves a template. */
  imageExists(imageName: string): boolean;
  /** Returns a reserved id and key for a new endpoint. If the result is undefined, the account generates id and key. */
  claimEndpoint?: () => { id: string; aiKey: string } | undefined;
}

const DAY_MS = 86_400_000;

/**
 * RunPod account with templates, endpoints, registry credentials, delegations, secrets and volumes, stored in one file. GraphQL and REST v2 read and
 * change the same account. A change that breaks a documented rule of RunPod throws an AccountError and has no effect.
 */
export class RunpodAccount {
  readonly registries: Registries;
  readonly networkVolumes: NetworkVolumes;
  readonly secrets: Secrets;
  readonly lag: ListLag;
  private readonly file: AccountFile;
  /** Newest time at which an endpoint stopped using a template, by template id. */
  private readonly lastTemplateUse = new Map<string, number>();
  /** Value of `clock.skippedMs` at an endpoint's newest request, by endpoint id. */
  private readonly skippedMsAtRequest = new Map<string, number>();

  /** @param path file of the account. Undefined: the account is in memory only */
  constructor(
    path: string | undefined,
    private readonly options: AccountOptions,
  ) {
    this.file = openAccount(path);
    this.lag = new ListLag(options.listLagMs);
    this.registries = new Registries(this.file, options.clock, this.lag);
    this.networkVolumes = new NetworkVolumes(this.file);
    this.secrets = new Secrets(this.file, options.clock, this.lag);
  }

  /** Closes the account's file. */
  close(): void {
    this.file.close();
  }

  get userId(): string {
    return this.file.data.account.userId;
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

  /** Resources in RunPod's lists. Creates and deletes appear after `listLagMs`. */
  get listed(): { templates: Template[]; endpoints: Endpoint[]; registryAuths: RegistryAuth[]; secrets: Secret[] } {
    return {
      templates: this.lag.list("templates", this.templates),
      endpoints: this.lag.list("endpoints", this.endpoints),
      registryAuths: this.lag.list("registryAuths", this.registryAuths),
      secrets: this.lag.list("secrets", this.secrets.all),
    };
  }

  /** Template of a listed endpoint. Also finds a template that was deleted together with its endpoint. */
  listedTemplate(id: string): Template | undefined {
    return this.template(id) ?? this.lag.deletedTemplate(id);
  }

  template(id: string): Template | undefined {
    return this.file.data.templates[id];
  }

  endpoint(id: string): Endpoint | undefined {
    return this.file.data.endpoints[id];
  }

  /** Versions of an endpoint, the newest first. */
  releases(endpointId: string): ReleaseRecord[] {
    return this.file.data.releases[endpointId] ?? [];
  }

  /** Creates a template, or replaces the template with `input.id`. */
  saveTemplate(input: TemplateInput): Template {
    const { id, ...fields } = input;
    const before = id ? this.requireTemplate(id) : undefined;
    const template = this.storeTemplate(fields, before, before?.isCopy ?? false);
    const changes = before ? templateChanges(before, template) : [];
    if (changes.length > 0) for (const endpoint of this.endpointsUsing(template.id)) this.newRelease(endpoint, changes);
    return template;
  }

  /** Deletes a template by its name, for GraphQL. */
  deleteTemplateNamed(name: string): void {
    const template = this.templates.find((one) => one.name === name);
    if (!template) throw new AccountError("Template not found", "missing");
    this.deleteTemplate(template.id);
  }

  /** Deletes a template. */
  deleteTemplate(id: string): void {
    const template = this.requireTemplate(id);
    const lastUse = this.lastTemplateUse.get(id) ?? Number.NEGATIVE_INFINITY;
    const isHeld = this.options.clock.now() - lastUse < this.options.templateHoldMs;
    if (this.endpointsUsing(id).length > 0 || isHeld)
      throw new AccountError("Template is in use and cannot be deleted");
    this.removeTemplate(template);
  }

  /**
   * Creates an endpoint, or replaces the endpoint with `input.id`. Missing fields get their defaults.
   *
   * @param copiesTemplate whether a new inline template gets `isCopy`, so that it is deleted together with the endpoint
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
    const changes = before
      ? [...endpointChanges(before, endpoint), ...templateChangesBetween(templateBefore, template)]
      : [];
    if (!before) this.lag.noteCreated(endpoint.id);
    this.file.data.endpoints[endpoint.id] = endpoint;
    if (!before || changes.length > 0) this.newRelease(endpoint, changes);
    if (before && before.templateId !== template.id) this.releaseTemplate(before.templateId);
    if (bindEndpoint) {
      template.boundEndpointId = endpoint.id;
      this.file.save("templates", template.id);
    }
    this.file.save("endpoints", endpoint.id);
    return endpoint;
  }

  /** Changes the template of an endpoint. */
  updateEndpointTemplate(endpointId: string, templateId: string): Endpoint {
    const endpoint = this.requireEndpoint(endpointId);
    const template = this.requireTemplate(templateId);
    if (!template.isServerless) throw new AccountError("The template must be serverless", "kind");
    const before = endpoint.templateId;
    if (before !== templateId) {
      const changes = templateChangesBetween(this.template(before), template);
      endpoint.templateId = templateId;
      this.newRelease(endpoint, changes);
      this.releaseTemplate(before);
    }
    return endpoint;
  }

  /** Deletes an endpoint whose `workersMin` and `workersMax` are 0, for GraphQL. */
  deleteEndpoint(id: string): void {
    const endpoint = this.requireEndpoint(id);
    if (endpoint.workersMin !== 0 || endpoint.workersMax !== 0)
      throw new AccountError("workersMin and workersMax must both be 0 before an endpoint can be deleted");
    this.removeEndpoint(endpoint);
  }

  /**
   * Deletes an endpoint for REST v2. Also deletes its template if `boundEndpointId` contains the endpoint's id. The
   * endpoint may have running workers.
   */
  deleteEndpointWithTemplate(id: string): void {
    const endpoint = this.requireEndpoint(id);
    const isBound = this.template(endpoint.templateId)?.boundEndpointId === id;
    this.removeEndpoint(endpoint);
    if (isBound && this.endpointsUsing(endpoint.templateId).length === 0) {
      const template = this.template(endpoint.templateId);
      if (template) this.removeTemplate(template);
    }
  }

  /**
   * Deletes a registry credential. Like RunPod, it also removes every reference to the credential from the templates.
   */
  deleteRegistryAuth(id: string): void {
    this.registries.remove(id);
    for (const template of this.templates) {
      if (template.containerRegistryAuthId !== id) continue;
      template.containerRegistryAuthId = null;
      this.file.save("templates", template.id);
    }
  }

  /** Deletes a network volume that no endpoint uses. */
  deleteNetworkVolume(id: string): void {
    if (this.endpoints.some((endpoint) => volumesOf(endpoint).includes(id)))
      throw new AccountError("Network volume is in use and cannot be deleted");
    this.networkVolumes.remove(id);
  }

  /** Records a request to an endpoint, so that the endpoint's idle time starts again. */
  noteRequest(endpointId: string): void {
    this.skippedMsAtRequest.set(endpointId, this.options.clock.skippedMs);
  }

  /**
   * Applies the effects of skipped time. RunPod limits an endpoint to 2 workers after 3 days without a request, and to
   * 0 after 7 days (docs, endpoint configurations). ECR tokens expire after 12 hours.
   */
  sweep(): void {
    for (const endpoint of this.endpoints) {
      const idleMs = this.options.clock.skippedMs - (this.skippedMsAtRequest.get(endpoint.id) ?? 0);
      const idleDays = idleMs / DAY_MS;
      const limit = idleDays >= 7 ? 0 : idleDays >= 3 ? 2 : Number.POSITIVE_INFINITY;
      endpoint.workersMax = Math.min(endpoint.workersMax, limit);
      endpoint.workersMin = Math.min(endpoint.workersMin, endpoint.workersMax);
      this.file.save("endpoints", endpoint.id);
    }
    this.registries.sweep();
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
    if (!before) this.lag.noteCreated(template.id);
    this.file.data.templates[template.id] = template;
    this.file.save("templates", template.id);
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
    this.file.save("releases", endpoint.id);
    this.file.save("endpoints", endpoint.id);
  }

  private endpointsUsing(templateId: string): Endpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.templateId === templateId);
  }

  private removeTemplate(template: Template): void {
    this.lag.noteDeleted("templates", template);
    delete this.file.data.templates[template.id];
    this.file.save("templates", template.id);
  }

  private removeEndpoint(endpoint: Endpoint): void {
    this.lag.noteDeleted("endpoints", endpoint);
    delete this.file.data.endpoints[endpoint.id];
    delete this.file.data.releases[endpoint.id];
    this.skippedMsAtRequest.delete(endpoint.id);
    this.releaseTemplate(endpoint.templateId);
    this.file.save("endpoints", endpoint.id);
    this.file.save("releases", endpoint.id);
  }

  /** Ends an endpoint's use of a template. Deletes the template if it is a copy that no endpoint uses. */
  private releaseTemplate(templateId: string): void {
    this.lastTemplateUse.set(templateId, this.options.clock.now());
    const template = this.template(templateId);
    if (!template) return;
    template.boundEndpointId = null;
    this.file.save("templates", templateId);
    if (template.isCopy && this.endpointsUsing(templateId).length === 0) this.removeTemplate(template);
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
  const ids = networkVolumeIds?.map(({ networkVolumeId: id }) => id) ?? [];
  return networkVolumeId ? [...ids, networkVolumeId] : ids;
}

/** Lists the differences between an endpoint's old and new template for a release record. */
function templateChangesBetween(before: Template | undefined, after: Template): FieldChange[] {
  const moved = before?.id === after.id ? [] : [{ field: "templateId", old: before?.id ?? null, new: after.id }];
  return before ? [...moved, ...templateChanges(before, after)] : moved;
}

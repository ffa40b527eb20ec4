import { createHash } from "node:crypto";
import { JsonFile } from "../store";
import type { Clock } from "./clock";
import { newAiKey, newId } from "./ids";
import type {
  Delegation,
  Endpoint,
  EndpointInput,
  FieldChange,
  InlineTemplate,
  NetworkVolume,
  RegistryAuth,
  ReleaseRecord,
  Secret,
  Template,
  TemplateInput,
} from "./records";
import { AccountError, checkCredential, checkEndpoint, checkTemplate, endpointChanges, templateChanges } from "./rules";

interface State {
  userId: string;
  templates: Record<string, Template>;
  endpoints: Record<string, Endpoint>;
  /** Of each endpoint, the newest first. */
  releases: Record<string, ReleaseRecord[]>;
  registryAuths: Record<string, RegistryAuth>;
  delegations: Record<string, Delegation>;
  networkVolumes: Record<string, NetworkVolume>;
  secrets: Record<string, Secret>;
}

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
/** Life of an ECR authorization token (AWS: GetAuthorizationToken). Its username is always AWS. */
const ECR_TOKEN_MS = DAY_MS / 2;

/**
 * A RunPod account: its templates, endpoints and registry credentials, kept in one file, under the rules that RunPod
 * documents. GraphQL and REST v2 are two faces of it. Every mutation either obeys all rules or throws an AccountError
 * and changes nothing.
 */
export class RunpodAccount {
  private readonly file: JsonFile<State>;
  private readonly lastUseOfTemplate = new Map<string, number>();
  /** What the clock had skipped when an endpoint last had a request, or a credential its password. */
  private readonly skippedBefore = new Map<string, number>();

  constructor(
    path: string,
    private readonly options: AccountOptions,
  ) {
    const empty: State = {
      userId: newId("user_"),
      templates: {},
      endpoints: {},
      releases: {},
      registryAuths: {},
      delegations: {},
      networkVolumes: {},
      secrets: {},
    };
    this.file = new JsonFile<State>(path, empty);
    // A file that was written before there were all of these.
    this.file.data = { ...empty, ...this.file.data };
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
    return Object.values(this.file.data.registryAuths);
  }

  get delegations(): Delegation[] {
    return Object.values(this.file.data.delegations);
  }

  get networkVolumes(): NetworkVolume[] {
    return Object.values(this.file.data.networkVolumes);
  }

  get secrets(): Secret[] {
    return Object.values(this.file.data.secrets);
  }

  template(id: string): Template | undefined {
    return this.file.data.templates[id];
  }

  endpoint(id: string): Endpoint | undefined {
    return this.file.data.endpoints[id];
  }

  registryAuth(id: string): RegistryAuth | undefined {
    return this.file.data.registryAuths[id];
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
      createdAt: before?.createdAt ?? this.timestamp(),
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

  /** Stores a registry credential. */
  saveRegistryAuth(input: { name: string; username: string; password: string }): RegistryAuth {
    if (this.registryAuths.some((auth) => auth.name === input.name))
      throw new AccountError("Registry auth name must be unique");
    checkCredential(input);
    return this.storeCredential(newId(), input.name, input, undefined);
  }

  /** Replaces a credential's username and password; id and name stay. */
  updateRegistryAuth(input: { id: string; username: string; password: string }): RegistryAuth {
    const auth = this.requireRegistryAuth(input.id);
    checkCredential(input);
    return this.storeCredential(auth.id, auth.name, input, auth);
  }

  /** Deletes a registry credential. Templates lose it silently, as at RunPod. */
  deleteRegistryAuth(id: string): void {
    this.requireRegistryAuth(id);
    delete this.file.data.registryAuths[id];
    for (const template of this.templates)
      if (template.containerRegistryAuthId === id) template.containerRegistryAuthId = null;
    this.file.save();
  }

  /** The registry stops taking a credential until it gets another password. */
  expireRegistryAuth(id: string): void {
    this.requireRegistryAuth(id).isExpired = true;
    this.file.save();
  }

  /**
   * Registers a delegation for one ECR repository.
   *
   * @param resource the repository's ARN
   */
  saveDelegation(resource: string, name: string | null): Delegation {
    const [, awsRegion = "", awsUser = "", path = ""] =
      /^arn:aws[a-z-]*:ecr:([a-z0-9-]+):(\d{12}):repository\/(.+)$/.exec(resource) ?? [];
    if (!path) throw new AccountError(`resource must be the ARN of an ECR repository, got ${resource}`);
    const [repository = "", tag = "*"] = path.split(":");
    const delegation: Delegation = {
      id: newId("deleg_"),
      name,
      delegatorUserId: this.userId,
      awsUser,
      repository,
      tag,
      awsRegion,
      dockerRegistryUri: `${awsUser}.dkr.ecr.${awsRegion}.amazonaws.com`,
      createdAt: this.timestamp(),
    };
    this.file.data.delegations[delegation.id] = delegation;
    this.file.save();
    return delegation;
  }

  /** Revokes a delegation. */
  deleteDelegation(id: string): void {
    this.remove("delegations", id, "Delegation");
  }

  /** Creates a network volume, or renames and grows the one with `id`. */
  saveNetworkVolume(input: { id?: string; name?: string; size?: number; dataCenterId?: string }): NetworkVolume {
    const before = input.id === undefined ? undefined : this.file.data.networkVolumes[input.id];
    if (input.id !== undefined && !before) throw new AccountError("Network volume not found", "missing");
    const volume: NetworkVolume = {
      id: before?.id ?? newId(),
      name: input.name ?? before?.name ?? "volume",
      size: input.size ?? before?.size ?? 10,
      dataCenterId: before?.dataCenterId ?? input.dataCenterId ?? "",
    };
    if (volume.size < 10 || volume.size > 4096) throw new AccountError("size must be from 10 to 4096 GB");
    if (before && volume.size < before.size) throw new AccountError("size cannot be reduced");
    this.file.data.networkVolumes[volume.id] = volume;
    this.file.save();
    return volume;
  }

  /** Deletes a network volume that no endpoint is pinned to. */
  deleteNetworkVolume(id: string): void {
    if (this.endpoints.some((endpoint) => volumesOf(endpoint).includes(id)))
      throw new AccountError("Network volume is in use and cannot be deleted");
    this.remove("networkVolumes", id, "Network volume");
  }

  /** Creates a secret. Its value is not kept. */
  createSecret(name: string, description: string | null): Secret {
    if (this.secrets.some((secret) => secret.name === name)) throw new AccountError("Secret name must be unique");
    const secret: Secret = { id: newId(), name, description, createdAt: this.timestamp(), updatedAt: null };
    this.file.data.secrets[secret.id] = secret;
    this.file.save();
    return secret;
  }

  /** Notes a new value or description of a secret. */
  updateSecret(id: string, changes: Partial<Pick<Secret, "description">>): Secret {
    const secret = this.file.data.secrets[id];
    if (!secret) throw new AccountError("Secret not found", "missing");
    Object.assign(secret, changes, { updatedAt: this.timestamp() });
    this.file.save();
    return secret;
  }

  /** Deletes a secret. */
  deleteSecret(id: string): void {
    this.remove("secrets", id, "Secret");
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
      const idleDays = this.skippedSince(endpoint.id) / DAY_MS;
      const most = idleDays >= 7 ? 0 : idleDays >= 3 ? 2 : Number.POSITIVE_INFINITY;
      endpoint.workersMax = Math.min(endpoint.workersMax, most);
      endpoint.workersMin = Math.min(endpoint.workersMin, endpoint.workersMax);
    }
    for (const auth of this.registryAuths)
      if (auth.username === "AWS" && this.skippedSince(auth.id) >= ECR_TOKEN_MS) auth.isExpired = true;
    this.file.save();
  }

  private skippedSince(id: string): number {
    return this.options.clock.skippedMs - (this.skippedBefore.get(id) ?? 0);
  }

  private timestamp(): string {
    return new Date(this.options.clock.now()).toISOString();
  }

  private storeTemplate(fields: Omit<TemplateInput, "id">, before: Template | undefined, isCopy: boolean): Template {
    checkTemplate(fields);
    if (this.templates.some((other) => other.name === fields.name && other.id !== before?.id))
      throw new AccountError("Template name must be unique");
    this.checkRegistry(fields.containerRegistryAuthId);
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

  private storeCredential(
    id: string,
    name: string,
    { username, password }: { username: string; password: string },
    before: RegistryAuth | undefined,
  ): RegistryAuth {
    const passwordHash = createHash("sha256").update(`${id}:${password}`).digest("hex");
    const isSame = before?.passwordHash === passwordHash;
    const auth: RegistryAuth = { id, name, username, passwordHash, isExpired: isSame && before.isExpired };
    if (!isSame) this.skippedBefore.set(id, this.options.clock.skippedMs);
    this.file.data.registryAuths[id] = auth;
    this.file.save();
    return auth;
  }

  /** A credential or a delegation of this account. */
  private checkRegistry(id: string | null | undefined): void {
    if (id && !this.file.data.delegations[id]) this.requireRegistryAuth(id);
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
    for (const id of volumesOf(input))
      if (!this.file.data.networkVolumes[id]) throw new AccountError("Network volume not found", "missing");
  }

  private saveInlineTemplate(inline: InlineTemplate, current: Template | undefined, isCopy: boolean): Template {
    const before = current?.name === inline.name ? current : undefined;
    const serverless = { volumeInGb: 0, isServerless: true, isPublic: false };
    return this.storeTemplate({ ...serverless, ...inline }, before, before?.isCopy ?? isCopy);
  }

  private newRelease(endpoint: Endpoint, diff: FieldChange[]): void {
    endpoint.version += 1;
    const release = { id: newId("rel_"), version: endpoint.version, createdAt: this.timestamp(), diff };
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

  private remove(kind: "delegations" | "networkVolumes" | "secrets", id: string, what: string): void {
    if (!this.file.data[kind][id]) throw new AccountError(`${what} not found`, "missing");
    delete this.file.data[kind][id];
    this.file.save();
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

  private requireRegistryAuth(id: string): RegistryAuth {
    const auth = this.registryAuth(id);
    if (!auth) throw new AccountError("Registry auth not found", "missing");
    return auth;
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

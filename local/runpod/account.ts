import { JsonFile } from "../store";
import { newAiKey, newId } from "./ids";
import type { Endpoint, EndpointInput, RegistryAuth, Template, TemplateInput } from "./records";
import { AccountError, checkCredential, checkEndpoint, checkTemplate, endpointRolls, templateRolls } from "./rules";

interface State {
  userId: string;
  templates: Record<string, Template>;
  endpoints: Record<string, Endpoint>;
  registryAuths: Record<string, RegistryAuth>;
}

/** What may be set about an account. */
export interface AccountOptions {
  /** Sum of `workersMax` over all endpoints. RunPod gives 5 to a new account. */
  workersQuota: number;
  /** How long a template counts as in use after its last endpoint is gone. RunPod takes up to two minutes. */
  templateHoldMs: number;
  /** Id and key of an endpoint that is being created, where they are decided already. */
  claimEndpoint?: () => { id: string; aiKey: string } | undefined;
}

/**
 * A RunPod account: its templates, endpoints and registry credentials, kept in one file, under the rules that RunPod
 * documents. Every mutation either obeys them all or throws an AccountError and changes nothing.
 */
export class RunpodAccount {
  private readonly file: JsonFile<State>;
  private readonly lastUseOfTemplate = new Map<string, number>();

  constructor(
    path: string,
    private readonly options: AccountOptions,
  ) {
    this.file = new JsonFile<State>(path, { userId: newId("user_"), templates: {}, endpoints: {}, registryAuths: {} });
  }

  get userId(): string {
    return this.file.data.userId;
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

  template(id: string): Template | undefined {
    return this.file.data.templates[id];
  }

  endpoint(id: string): Endpoint | undefined {
    return this.file.data.endpoints[id];
  }

  /** Creates a template, or replaces the one with `input.id`. */
  saveTemplate(input: TemplateInput): Template {
    const { id, ...fields } = input;
    const before = id ? this.requireTemplate(id) : undefined;
    checkTemplate(fields);
    if (this.templates.some((other) => other.name === fields.name && other.id !== before?.id))
      throw new AccountError("Template name must be unique");
    if (fields.containerRegistryAuthId) this.requireRegistryAuth(fields.containerRegistryAuthId);

    const template: Template = {
      ...fields,
      id: before?.id ?? newId(),
      boundEndpointId: before?.boundEndpointId ?? null,
    };
    this.file.data.templates[template.id] = template;
    if (before && templateRolls(before, template))
      for (const endpoint of this.endpointsUsing(template.id)) endpoint.version += 1;
    this.file.save();
    return template;
  }

  /** Deletes a template by its name. */
  deleteTemplate(name: string): void {
    const template = this.templates.find((one) => one.name === name);
    if (!template) throw new AccountError("Template not found");
    const lastUse = this.lastUseOfTemplate.get(template.id) ?? Number.NEGATIVE_INFINITY;
    if (this.endpointsUsing(template.id).length > 0 || Date.now() - lastUse < this.options.templateHoldMs)
      throw new AccountError("Template is in use and cannot be deleted");
    delete this.file.data.templates[template.id];
    this.file.save();
  }

  /** Creates an endpoint, or replaces the one with `input.id` whole: what is left out goes back to its default. */
  saveEndpoint(input: EndpointInput): Endpoint {
    const { id, template: inline, templateId, bindEndpoint, ...fields } = input;
    const before = id ? this.requireEndpoint(id) : undefined;
    checkEndpoint(fields);
    this.checkQuota(fields.workersMax, before);
    if (inline && templateId) throw new AccountError("Give template or templateId, not both");
    if (!inline && !templateId) throw new AccountError("templateId is required");
    const template = inline ? this.saveInlineTemplate(inline, before) : this.requireTemplate(templateId ?? "");
    if (!template.isServerless) throw new AccountError("The template must be serverless");

    const { id: endpointId, aiKey } = before ?? this.options.claimEndpoint?.() ?? { id: newId(), aiKey: newAiKey() };
    const endpoint: Endpoint = {
      ...fields,
      id: endpointId,
      templateId: template.id,
      userId: this.userId,
      version: before?.version ?? 1,
      aiKey,
      createdAt: before?.createdAt ?? new Date().toISOString(),
    };
    if (before && endpointRolls(before, endpoint)) endpoint.version += 1;
    if (before && before.templateId !== template.id) this.release(before.templateId);
    if (bindEndpoint) template.boundEndpointId = endpoint.id;
    this.file.data.endpoints[endpoint.id] = endpoint;
    this.file.save();
    return endpoint;
  }

  /** Points an endpoint at another template. */
  updateEndpointTemplate(endpointId: string, templateId: string): Endpoint {
    const endpoint = this.requireEndpoint(endpointId);
    this.requireTemplate(templateId);
    if (endpoint.templateId !== templateId) {
      this.release(endpoint.templateId);
      endpoint.templateId = templateId;
      endpoint.version += 1;
      this.file.save();
    }
    return endpoint;
  }

  /** Deletes an endpoint that has been scaled to zero. */
  deleteEndpoint(id: string): void {
    const endpoint = this.requireEndpoint(id);
    if (endpoint.workersMin !== 0 || endpoint.workersMax !== 0)
      throw new AccountError("workersMin and workersMax must both be 0 before an endpoint can be deleted");
    delete this.file.data.endpoints[id];
    this.release(endpoint.templateId);
    this.file.save();
  }

  /** Stores a registry credential. */
  saveRegistryAuth(input: { name: string; username: string; password: string }): RegistryAuth {
    if (this.registryAuths.some((auth) => auth.name === input.name))
      throw new AccountError("Registry auth name must be unique");
    checkCredential(input);
    const auth = { id: newId(), name: input.name };
    this.file.data.registryAuths[auth.id] = auth;
    this.file.save();
    return auth;
  }

  /** Replaces a credential's username and password; id and name stay. */
  updateRegistryAuth(input: { id: string; username: string; password: string }): RegistryAuth {
    const auth = this.requireRegistryAuth(input.id);
    checkCredential(input);
    return auth;
  }

  /** Deletes a registry credential. */
  deleteRegistryAuth(id: string): void {
    this.requireRegistryAuth(id);
    delete this.file.data.registryAuths[id];
    this.file.save();
  }

  private checkQuota(workersMax: number, before?: Endpoint): void {
    const others = this.endpoints.filter(({ id }) => id !== before?.id);
    const workers = others.reduce((sum, endpoint) => sum + endpoint.workersMax, workersMax);
    if (workers > this.options.workersQuota)
      throw new AccountError(
        `Your worker concurrency cannot go beyond the maximum limit of (${this.options.workersQuota}) workers`,
      );
  }

  private saveInlineTemplate(inline: NonNullable<EndpointInput["template"]>, endpoint?: Endpoint): Template {
    const current = endpoint && this.template(endpoint.templateId);
    const id = current?.name === inline.name ? current.id : null;
    const serverless = { volumeInGb: 0, isServerless: true, isPublic: false, startSsh: false, startJupyter: false };
    return this.saveTemplate({ ...serverless, ...inline, id });
  }

  private endpointsUsing(templateId: string): Endpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.templateId === templateId);
  }

  private release(templateId: string): void {
    this.lastUseOfTemplate.set(templateId, Date.now());
    const template = this.template(templateId);
    if (template) template.boundEndpointId = null;
  }

  private requireTemplate(id: string): Template {
    const template = this.template(id);
    if (!template) throw new AccountError("Template not found");
    return template;
  }

  private requireEndpoint(id: string): Endpoint {
    const endpoint = this.endpoint(id);
    if (!endpoint) throw new AccountError("Endpoint not found");
    return endpoint;
  }

  private requireRegistryAuth(id: string): RegistryAuth {
    const auth = this.file.data.registryAuths[id];
    if (!auth) throw new AccountError("Registry auth not found");
    return auth;
  }
}

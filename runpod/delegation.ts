import { z } from "zod";
import type { ApiOptions, RunpodClient, TemplateSettings } from "./client";
import { RunpodError } from "./error";
import { tellOperator } from "./operatorOutput";
import { restRequests } from "./rest/request";

const delegation = z.object({ id: z.string() });

/**
 * Whether a refusal concerns the image's registry. Checks RunPod's own text only: the program's message also contains
 * names of the stack, which could match.
 */
function namesRegistry({ reason = "" }: RunpodError): boolean {
  return /regist|delegat/i.test(reason);
}

/**
 * Returns a client that sends the id of an ECR delegation. When RunPod refuses this id, the client repeats the save
 * without the id and tells the operator. Unconfirmed: no public source names the field for this id, so the program uses
 * `containerRegistryAuthId`.
 */
export function withoutRefusedDelegations(client: RunpodClient, options: ApiOptions): RunpodClient {
  const requests = restRequests(options);

  /** Whether the id belongs to a delegation. Only REST v2 lists delegations. False when the list cannot be read. */
  async function isDelegation(id: string | undefined): Promise<boolean> {
    if (id === undefined) return false;
    const all = await requests.list("registries/delegations", "delegations", delegation).catch(() => undefined);
    return all?.items.some((each) => each.id === id) ?? false;
  }

  async function saveWithout(settings: TemplateSettings, id: string | undefined, refusal: RunpodError) {
    const { containerRegistryAuthId, ...others } = settings;
    const line =
      `${refusal.message} The program now leaves the ECR delegation ${containerRegistryAuthId} out of the template ` +
      `"${settings.name}". If workers cannot pull the image, set registry.kind to ecr or token.`;
    try {
      const saved = await client.saveTemplate(others, id);
      tellOperator(line);
      return saved;
    } catch (error) {
      if (!(error instanceof RunpodError)) throw error;
      // RunPod may have saved the template without the id and then refused to change an endpoint.
      if (error.maybeDone) tellOperator(line);
      // RunPod also refuses the save without the id, so another field is the cause. The first error names the cause.
      else if (error.isRefusal) throw refusal;
      throw error;
    }
  }

  return {
    ...client,

    async saveTemplate(settings, id) {
      try {
        return await client.saveTemplate(settings, id);
      } catch (error) {
        if (!(error instanceof RunpodError && error.isRefusal)) throw error;
        // `maybeDone` means that RunPod saved the template but refused to change an endpoint. That refusal can have
        // another cause than the registry.
        if (error.maybeDone && !namesRegistry(error)) throw error;
        if (!(await isDelegation(settings.containerRegistryAuthId))) throw error;
        return saveWithout(settings, id, error);
      }
    },

    /**
     * With REST v2, an endpoint has a copy of its template's container. So RunPod can also refuse the id when the
     * client saves the endpoint.
     */
    async saveEndpoint(settings, id) {
      try {
        return await client.saveEndpoint(settings, id);
      } catch (error) {
        if (!(error instanceof RunpodError && error.isRefusal && namesRegistry(error))) throw error;
        const template = await client.getTemplate(settings.templateId);
        if (template === undefined || !(await isDelegation(template.containerRegistryAuthId))) throw error;
        const { id: templateId, ...container } = template;
        await saveWithout(container, templateId, error);
        return client.saveEndpoint(settings, id);
      }
    },
  };
}

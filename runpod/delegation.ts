import { z } from "zod";
import type { ApiOptions, RunpodClient, TemplateSettings } from "./client";
import { RunpodError } from "./error";
import { callJson } from "./http";
import { tellOperator } from "./operatorOutput";

const delegationList = z.object({ delegations: z.array(z.object({ id: z.string() })) });

/** Matches the text of a refusal that concerns the image's registry. */
const NAMES_REGISTRY = /regist|delegat/i;

/**
 * Returns a client that retries a save without the id of an ECR delegation when RunPod refuses this id. The client then
 * tells the operator about the missing id. Unconfirmed: no public source names the field for this id, so the program
 * uses `containerRegistryAuthId`.
 */
export function withoutRefusedDelegations(client: RunpodClient, options: ApiOptions): RunpodClient {
  /** Whether the id belongs to a delegation. Only REST v2 lists delegations. False when this call fails. */
  async function isDelegation(id: string | undefined): Promise<boolean> {
    if (id === undefined) return false;
    const { apiKey, url, timeoutMs = 30_000 } = options;
    const path = `${url.replace(/\/+$/, "")}/v2/registries/delegations`;
    const call = { operation: "list delegations", method: "GET", url: path, apiKey, timeoutMs } as const;
    const answer = await callJson(call).catch(() => undefined);
    return delegationList.safeParse(answer?.body).data?.delegations.some((each) => each.id === id) ?? false;
  }

  async function saveWithout(settings: TemplateSettings, id: string | undefined, refusal: RunpodError) {
    const { containerRegistryAuthId, ...others } = settings;
    const saved = await client.saveTemplate(others, id).catch((error: unknown) => {
      // RunPod also refuses the save without the id, so another field is the cause. The first error names the cause.
      throw error instanceof RunpodError && error.isRefusal ? refusal : error;
    });
    tellOperator(
      `${refusal.message} So the program leaves the ECR delegation ${containerRegistryAuthId} out of the template ` +
        `"${settings.name}". If workers cannot pull the image, set registry.kind to ecr or token.`,
    );
    return saved;
  }

  return {
    ...client,

    async saveTemplate(settings, id) {
      try {
        return await client.saveTemplate(settings, id);
      } catch (error) {
        if (!(error instanceof RunpodError && error.isRefusal)) throw error;
        // `maybeDone` means that RunPod saved the template but refused the change of an endpoint, maybe for another
        // reason.
        if (error.maybeDone && !NAMES_REGISTRY.test(error.message)) throw error;
        if (!(await isDelegation(settings.containerRegistryAuthId))) throw error;
        return saveWithout(settings, id, error);
      }
    },

    /**
     * With REST v2, an endpoint has a copy of its template's container, so RunPod can also refuse the id in a save of
     * the endpoint.
     */
    async saveEndpoint(settings, id) {
      try {
        return await client.saveEndpoint(settings, id);
      } catch (error) {
        if (!(error instanceof RunpodError && error.isRefusal && NAMES_REGISTRY.test(error.message))) throw error;
        const template = await client.getTemplate(settings.templateId);
        if (template === undefined || !(await isDelegation(template.containerRegistryAuthId))) throw error;
        const { id: templateId, ...container } = template;
        await saveWithout(container, templateId, error);
        return client.saveEndpoint(settings, id);
      }
    },
  };
}

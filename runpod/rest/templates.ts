import { idOnly } from "../call";
import type { TemplateApi, TemplateRecord, TemplateSettings } from "../client";
import { RunpodError } from "../error";
import { followerBody, followsTemplate } from "./followers";
import { containerBody, endpointRecord, type RestEndpoint, templateRecord } from "./records";
import { itemPath, type RestRequests } from "./request";

/** Lists the templates of the account, without templates that do not match the schema. */
export async function listTemplates({ list }: RestRequests): Promise<TemplateRecord[]> {
  return (await list("templates", "templates", templateRecord)).items;
}

/** Reads a template. Undefined when it does not exist. */
export function getTemplate({ get }: RestRequests, id: string): Promise<TemplateRecord | undefined> {
  return get("getTemplate", itemPath("templates", id), templateRecord);
}

/**
 * Template calls of the REST API. REST v2 copies a template to an endpoint only when the endpoint is created. So
 * `saveTemplate` also updates the endpoints that follow the template.
 */
export function templateApi(requests: RestRequests): TemplateApi {
  const { send, list, remove } = requests;

  async function updateFollower({ id, name }: RestEndpoint, template: TemplateRecord, secrets: string[]) {
    const body = followerBody(template);
    const path = itemPath("serverless", id);
    try {
      await send({ operation: "updateEndpoint", method: "PATCH", path, body, response: idOnly, secrets });
    } catch (error) {
      if (!(error instanceof RunpodError)) throw error;
      const message = `The template has changed, but its endpoint "${name}" (${id}) has not changed: ${error.message}`;
      const { isRefusal, reason } = error;
      throw new RunpodError(message, { transient: false, maybeDone: true, isRefusal, reason });
    }
  }

  return {
    findTemplateByName: async (name) => (await listTemplates(requests)).find((template) => template.name === name),
    getTemplate: (id) => getTemplate(requests, id),

    async saveTemplate(settings, id) {
      const save = { body: templateBody(settings), response: idOnly, secrets: Object.values(settings.env) };
      if (id === undefined) return send({ operation: "createTemplate", method: "POST", path: "/templates", ...save });
      const template = { ...settings, id };
      const before = (await getTemplate(requests, id)) ?? template;
      const endpoints = await list("serverless", "endpoints", endpointRecord);
      await send({ operation: "updateTemplate", method: "PATCH", path: itemPath("templates", id), ...save });
      for (const endpoint of endpoints.items) {
        if (followsTemplate(endpoint, before)) await updateFollower(endpoint, template, save.secrets);
      }
      return { id };
    },

    deleteTemplate: (id) => remove("deleteTemplate", itemPath("templates", id)),
  };
}

function templateBody(settings: TemplateSettings) {
  // RunPod starts SSH and Jupyter by default, and adds their keys to the environment.
  const isOff = { startSsh: false, startJupyter: false };
  return { name: settings.name, ...containerBody(settings), ...isOff, serverless: true, public: false };
}

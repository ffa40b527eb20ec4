import { z } from "zod";
import { idOnly } from "../call";
import type { EndpointApi, EndpointRecord, EndpointSettings, TemplateRecord } from "../client";
import { isNotFound, RunpodError } from "../error";
import { splitOwnerTag, TEMPLATE_TAG } from "../ownerTag";
import { followerBody, followsTemplate, runsTemplate } from "./followers";
import { endpointRecord, endpointSettings, type RestEndpoint } from "./records";
import { itemPath, type RestRequests } from "./request";
import { getTemplate, listTemplates } from "./templates";

/** Endpoint calls of the REST API. */
export function endpointApi(requests: RestRequests): EndpointApi {
  const { send, list, get, remove } = requests;
  return {
    async listEndpoints() {
      const [endpoints, templates] = await Promise.all([
        list("serverless", "endpoints", endpointRecord),
        listTemplates(requests),
      ]);
      return endpoints.items.map((endpoint) => withTemplate(endpoint, templates));
    },

    async getEndpoint(id) {
      const [endpoint, templates] = await Promise.all([
        get("getEndpoint", itemPath("serverless", id), endpointRecord),
        listTemplates(requests),
      ]);
      return endpoint && withTemplate(endpoint, templates);
    },

    async getEndpointVersion(id) {
      const response = z.object({ endpointVersion: z.number().nullish() });
      const path = `${itemPath("serverless", id)}/releases`;
      return (await get("releases", path, response))?.endpointVersion ?? undefined;
    },

    async saveEndpoint(settings, id) {
      const template = await getTemplate(requests, settings.templateId);
      if (template === undefined) {
        throw new RunpodError(`RunPod has no template ${settings.templateId} for the endpoint "${settings.name}".`, {
          transient: false,
        });
      }
      const body = endpointBody(settings, template, id === undefined);
      const save = { body, response: idOnly, secrets: Object.values(template.env) };
      return id === undefined
        ? send({ operation: "createEndpoint", method: "POST", path: "/serverless", ...save })
        : send({ operation: "updateEndpoint", method: "PATCH", path: itemPath("serverless", id), ...save });
    },

    async scaleToZero({ id }) {
      const body = { workers: { min: 0, max: 0 } };
      const path = itemPath("serverless", id);
      try {
        await send({ operation: "updateEndpoint", method: "PATCH", path, body, response: idOnly });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },

    deleteEndpoint: (id) => remove("deleteEndpoint", itemPath("serverless", id)),
  };
}

/**
 * Adds the owner and the id of the template that the endpoint follows. If the containers of the endpoint and the
 * template differ, the template id is empty. Pulumi then shows drift, and the next update corrects the container.
 */
function withTemplate(endpoint: RestEndpoint, templates: TemplateRecord[]): EndpointRecord {
  const source = templates.find((each) => followsTemplate(endpoint, each));
  const templateId = source && runsTemplate(endpoint, source) ? source.id : "";
  const { owner } = splitOwnerTag(endpoint.env);
  const sourceTemplateId = endpoint.env[TEMPLATE_TAG] ?? source?.id;
  return { ...endpointSettings(endpoint, templateId), id: endpoint.id, owner, sourceTemplateId };
}

/**
 * Body of a save. It contains every field that has a default at RunPod, especially `flashboot` and `timeout`.
 *
 * @param isNew whether the save creates the endpoint. A create must contain the type. An update must not contain the
 * type
 */
function endpointBody(settings: EndpointSettings, template: TemplateRecord, isNew: boolean) {
  const pools = settings.gpuIds.filter((gpu) => !gpu.startsWith("-"));
  const excludedTypes = settings.gpuIds.filter((gpu) => gpu.startsWith("-")).map((gpu) => gpu.slice(1));
  const { minCudaVersion } = settings;
  return {
    name: settings.name,
    ...(isNew && { type: "QUEUE" }),
    ...followerBody(template),
    gpu: {
      pools,
      excludedTypes,
      count: settings.gpuCount,
      // In an update, an empty text removes the minimum version. A create refuses an empty text.
      ...((minCudaVersion || !isNew) && { minCudaVersion: minCudaVersion ?? "" }),
    },
    ...scalingBody(settings),
    dataCenterIds: settings.locations,
    timeout: settings.executionTimeoutMs,
    flashboot: settings.flashBootType,
  };
}

/** The API refuses an idle timeout together with `REQUEST_COUNT`. */
function scalingBody({ scalerType, scalerValue, workersMin, workersMax, idleTimeoutSeconds }: EndpointSettings) {
  const workers = { min: workersMin, max: workersMax };
  return scalerType === "REQUEST_COUNT"
    ? { workers, scaling: { type: scalerType, requestCount: scalerValue } }
    : {
        workers: { ...workers, idleTimeout: idleTimeoutSeconds },
        scaling: { type: scalerType, queueDelay: scalerValue },
      };
}

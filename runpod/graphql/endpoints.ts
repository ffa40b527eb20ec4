import { gql } from "graphql-request";
import { z } from "zod";
import type { EndpointApi, EndpointRecord, EndpointSettings } from "../client";
import { nullable, optionalText, text } from "../nullable";
import { splitOwnerTag } from "../ownerTag";
import { retryTransient } from "../retry";
import { type GraphqlRequests, idOnly, nullableList } from "./request";
import { TEMPLATES, templateList } from "./templates";

const FIELDS =
  "id name templateId gpuIds gpuCount workersMin workersMax idleTimeout scalerType scalerValue executionTimeoutMs " +
  "flashBootType locations minCudaVersion modelReferences";

/** A list that RunPod stores as one comma-separated text. */
const commaList = z
  .string()
  .nullish()
  .transform((text) =>
    (text ?? "")
      .split(",")
      .map((item) => item.trim())
      .filter(Boolean),
  );

/** An endpoint in a response, without its owner. The defaults are those of the published schema. */
export const endpointRecord: z.ZodType<Omit<EndpointRecord, "owner">> = z
  .object({
    id: z.string(),
    name: text,
    templateId: text,
    gpuIds: commaList,
    gpuCount: nullable(z.number(), 1),
    workersMin: nullable(z.number(), 0),
    workersMax: nullable(z.number(), 3),
    idleTimeout: nullable(z.number(), 10),
    scalerType: nullable(z.string(), "QUEUE_DELAY"),
    scalerValue: nullable(z.number(), 4),
    executionTimeoutMs: nullable(z.number(), 0),
    flashBootType: nullable(z.string(), "OFF"),
    locations: commaList,
    minCudaVersion: optionalText,
    modelReferences: nullable(z.array(z.string()), []),
  })
  .transform(({ idleTimeout, ...rest }) => ({ ...rest, idleTimeoutSeconds: idleTimeout }));

/** Endpoint calls of the GraphQL API. */
export function endpointApi({ send, sendRepeatable, remove, queryMyself }: GraphqlRequests): EndpointApi {
  /** An endpoint has no owner tag: its owner is the owner of its template. */
  async function listEndpoints() {
    const response = templateList.extend({ endpoints: nullableList(endpointRecord) });
    const fields = `endpoints { ${FIELDS} } ${TEMPLATES}`;
    const { endpoints, podTemplates } = await queryMyself("endpoints", fields, response);
    const owners = new Map(podTemplates.map(({ id, env }) => [id, splitOwnerTag(env).owner]));
    return endpoints.map((endpoint) => ({ ...endpoint, owner: owners.get(endpoint.templateId) }));
  }

  async function saveEndpoint(settings: EndpointSettings, id?: string) {
    const { saveEndpoint: saved } = await (id === undefined ? send : sendRepeatable)({
      operation: "saveEndpoint",
      document: gql`mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id } }`,
      variables: { input: endpointInput(settings, id) },
      response: z.object({ saveEndpoint: idOnly }),
    });
    return saved;
  }

  return {
    listEndpoints,
    getEndpoint: async (id) => (await listEndpoints()).find((endpoint) => endpoint.id === id),

    async getEndpointVersion(id) {
      // The published schema does not contain `version`, although RunPod's own tools read it. RunPod may refuse a query
      // with this field, so the field has a separate query.
      const version = z.object({ id: z.string(), version: z.number().nullish() });
      const response = z.object({ endpoints: nullableList(version) });
      const { endpoints } = await queryMyself("version", "endpoints { id version }", response);
      return endpoints.find((endpoint) => endpoint.id === id)?.version ?? undefined;
    },

    saveEndpoint,

    async scaleToZero({ id, owner: _, ...settings }) {
      // RunPod resets omitted fields to its defaults, so the call contains every field.
      await saveEndpoint({ ...settings, workersMin: 0, workersMax: 0 }, id);
    },

    deleteEndpoint: (id) =>
      retryTransient(() =>
        remove({
          operation: "deleteEndpoint",
          document: gql`mutation ($id: String!) { deleteEndpoint(id: $id) }`,
          variables: { id },
        }),
      ),
  };
}

/**
 * Input of the call that replaces the endpoint `id` or, without an id, creates an endpoint. RunPod resets omitted
 * fields to its defaults, so every field is sent, including nulls.
 */
function endpointInput({ idleTimeoutSeconds, ...settings }: EndpointSettings, id?: string) {
  return {
    ...settings,
    ...(id !== undefined && { id }),
    idleTimeout: idleTimeoutSeconds,
    gpuIds: settings.gpuIds.join(","),
    locations: settings.locations.join(",") || null,
    minCudaVersion: settings.minCudaVersion ?? null,
    modelReferences: settings.modelReferences.length > 0 ? settings.modelReferences : null,
    type: "QB",
  };
}

import { gql } from "graphql-request";
import { z } from "zod";
import { idOnly } from "../call";
import type { EndpointApi, EndpointRecord, EndpointSettings } from "../client";
import { isNotFound, RunpodError } from "../error";
import { findById, type Listing, listing, nullable, optionalText, text } from "../nullable";
import { splitOwnerTag } from "../ownerTag";
import { retryTransient } from "../retry";
import type { GraphqlRequests } from "./request";
import { TEMPLATES, templateList } from "./templates";

const FIELDS =
  "id name templateId gpuIds gpuCount workersMin workersMax idleTimeout scalerType scalerValue executionTimeoutMs " +
  "flashBootType locations minCudaVersion modelReferences";

/** Default of RunPod's published schema. */
const DEFAULT_IDLE_SECONDS = 10;

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

/** An endpoint in a response, without its owner. The defaults come from the published schema. */
export const endpointRecord: z.ZodType<Omit<EndpointRecord, "owner" | "sourceTemplateId">> = z
  .object({
    id: z.string(),
    name: text,
    templateId: text,
    gpuIds: commaList,
    gpuCount: nullable(z.number(), 1),
    workersMin: nullable(z.number(), 0),
    workersMax: nullable(z.number(), 3),
    idleTimeout: nullable(z.number(), DEFAULT_IDLE_SECONDS),
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
  /** An endpoint has no owner tag, so its owner is the owner of its template. */
  async function listEndpoints(): Promise<Listing<EndpointRecord>> {
    const response = templateList.extend({ endpoints: listing(endpointRecord) });
    const fields = `endpoints { ${FIELDS} } ${TEMPLATES}`;
    const { endpoints, podTemplates } = await queryMyself("endpoints", fields, response);
    const owners = new Map(podTemplates.items.map(({ id, env }) => [id, splitOwnerTag(env).owner]));
    const items = endpoints.items.map((endpoint) => {
      const { templateId } = endpoint;
      return { ...endpoint, owner: owners.get(templateId), sourceTemplateId: templateId || undefined };
    });
    return { ...endpoints, items };
  }

  /** Fields for which RunPod has refused `null`. */
  const refusedNulls = new Set<string>();

  async function saveEndpoint(settings: EndpointSettings, id?: string): Promise<{ id: string }> {
    const input = endpointInput(settings, id);
    try {
      const { saveEndpoint: saved } = await (id === undefined ? send : sendRepeatable)({
        operation: "saveEndpoint",
        document: gql`mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id } }`,
        variables: { input: Object.fromEntries(Object.entries(input).filter(([field]) => !refusedNulls.has(field))) },
        response: z.object({ saveEndpoint: idOnly }),
      });
      return saved;
    } catch (error) {
      const isRefused = (name: string) =>
        error instanceof RunpodError && !error.transient && error.message.includes(name);
      const sent = unconfirmedNulls.filter((name) => input[name] === null && !refusedNulls.has(name));
      const refused = sent.find(isRefused);
      if (refused === undefined) throw error;
      refusedNulls.add(refused);
      console.log(
        `RunPod refuses the value null for ${refused}. The program leaves this field out, so an earlier value may stay.`,
      );
      return saveEndpoint(settings, id);
    }
  }

  return {
    listEndpoints: async () => (await listEndpoints()).items,
    getEndpoint: async (id) => findById(await listEndpoints(), id),

    async getEndpointVersion(id) {
      // Unconfirmed: the published schema does not contain `version`, although RunPod's own tools read it. RunPod may
      // refuse a query with this field, so only a separate query reads it.
      const version = z.object({ id: z.string(), version: z.number().nullish() });
      const response = z.object({ endpoints: listing(version) });
      const { endpoints } = await queryMyself("version", "endpoints { id version }", response);
      return endpoints.items.find((endpoint) => endpoint.id === id)?.version ?? undefined;
    },

    saveEndpoint,

    async scaleToZero({ id, owner: _, sourceTemplateId: __, ...settings }) {
      const { idleTimeoutSeconds = DEFAULT_IDLE_SECONDS, modelReferences = [] } = settings;
      const scaled = { ...settings, idleTimeoutSeconds, modelReferences, workersMin: 0, workersMax: 0 };
      try {
        // RunPod resets omitted fields to its defaults, so the call contains every field.
        await saveEndpoint(scaled, id);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
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
 * The program sends `null` for these fields when they have no value. `null` removes an earlier value. Unconfirmed: no
 * public source says that RunPod accepts `null` in these fields.
 */
const unconfirmedNulls = ["locations", "minCudaVersion", "modelReferences"] as const;

/**
 * Input of `saveEndpoint`. With an id, RunPod replaces the endpoint. Without an id, RunPod creates an endpoint. RunPod
 * resets omitted fields to its defaults, so the input contains every field, even a field that is `null`.
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

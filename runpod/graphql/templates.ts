import { gql } from "graphql-request";
import { z } from "zod";
import { idOnly } from "../call";
import type { TemplateApi, TemplateRecord, TemplateSettings } from "../client";
import { findById, listing, nullable, optionalText, text } from "../nullable";
import { retryTransient } from "../retry";
import type { GraphqlRequests } from "./request";

const FIELDS = "id name imageName dockerArgs containerDiskInGb containerRegistryAuthId env { key value }";

/** Part of a `myself` query that returns `templateList`. */
export const TEMPLATES = `podTemplates { ${FIELDS} }`;

/** A template in a response. */
export const templateRecord: z.ZodType<TemplateRecord> = z.object({
  id: z.string(),
  name: text,
  imageName: text,
  dockerArgs: text,
  containerDiskInGb: nullable(z.number(), 0),
  containerRegistryAuthId: optionalText,
  env: z
    .array(z.object({ key: text, value: text }).nullable())
    .nullish()
    .transform((pairs) =>
      Object.fromEntries((pairs ?? []).flatMap((pair) => (pair?.key ? [[pair.key, pair.value]] : []))),
    ),
});

/** Schema of `TEMPLATES`. */
export const templateList = z.object({ podTemplates: listing(templateRecord) });

/** Template calls of the GraphQL API. */
export function templateApi({ send, sendRepeatable, remove, queryMyself }: GraphqlRequests): TemplateApi {
  const listTemplates = async () => (await queryMyself("podTemplates", TEMPLATES, templateList)).podTemplates;

  async function getTemplate(id: string) {
    return findById(await listTemplates(), id);
  }

  return {
    findTemplateByName: async (name) => (await listTemplates()).items.find((template) => template.name === name),
    getTemplate,

    async saveTemplate(settings, id) {
      const { saveTemplate } = await (id === undefined ? send : sendRepeatable)({
        operation: "saveTemplate",
        document: gql`mutation ($input: SaveTemplateInput!) { saveTemplate(input: $input) { id } }`,
        variables: { input: templateInput(settings, id) },
        response: z.object({ saveTemplate: idOnly }),
        secrets: Object.values(settings.env),
      });
      return saveTemplate;
    },

    deleteTemplate: (id) =>
      retryTransient(async () => {
        // RunPod deletes a template by name, and the name may have changed since the last read.
        const template = await getTemplate(id);
        if (template === undefined) return;
        await remove({
          operation: "deleteTemplate",
          document: gql`mutation ($name: String!) { deleteTemplate(templateName: $name) }`,
          variables: { name: template.name },
        });
      }),
  };
}

/** Input of `saveTemplate`. With an id, RunPod replaces the template. Without an id, RunPod creates a template. */
function templateInput({ env, ...settings }: TemplateSettings, id?: string) {
  return {
    ...settings,
    ...(id !== undefined && { id }),
    env: Object.entries(env).map(([key, value]) => ({ key, value })),
    containerRegistryAuthId: settings.containerRegistryAuthId ?? null,
    isServerless: true,
    isPublic: false,
    // RunPod refuses a volume on serverless templates.
    volumeInGb: 0,
  };
}

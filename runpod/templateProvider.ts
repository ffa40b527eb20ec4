import type { dynamic } from "@pulumi/pulumi";
import { createOnce } from "./adopt";
import type { TemplateRecord, TemplateSettings } from "./client";
import { connection } from "./connection";
import { asDeclared, checkFields, diffFields, type Properties } from "./fields";
import { splitMark, withMark } from "./mark";
import { waitingOutUse } from "./patience";
import { type TemplateInputs, templateFields } from "./templateFields";

// What RunPod writes into an environment by itself.
const PLATFORM_VARIABLES = ["PORT", "PORT_HEALTH"];

/** What Pulumi calls for a template. Everything is changed in place, a name too. */
export const template = {
  async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    return checkFields(templateFields, news);
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return diffFields(templateFields, olds, news);
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = trusted(properties);
    const { client } = connection();
    const { id } = await createOnce(
      async () => {
        const existing = await client.findTemplateByName(inputs.name);
        if (existing !== undefined) refuseForeign(existing, inputs.owner);
        return existing;
      },
      (existingId) => client.saveTemplate(settings(inputs), existingId),
    );
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await connection().client.getTemplate(id);
    if (record === undefined) return { id: "" };
    const props = asDeclared(declared, actual(record, declared));
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, _olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const { client } = connection();
    if ((await client.getTemplate(id)) === undefined) {
      throw new Error(`Template ${id} is gone from RunPod. Run "pulumi refresh", then "pulumi up" makes it again.`);
    }
    await client.saveTemplate(settings(inputs), id);
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await waitingOutUse(inUse, () => client.deleteTemplate(id));
  },
};

/** Inputs that `check` has passed. */
function trusted(properties: Properties): TemplateInputs {
  return checkFields(templateFields, properties).inputs as TemplateInputs;
}

function settings({ owner, env, ...rest }: TemplateInputs): TemplateSettings {
  return { ...rest, env: withMark(env, owner) };
}

/** A template of RunPod as inputs; what the platform added to the environment is left out unless it was declared. */
function actual({ id: _, env: marked, ...rest }: TemplateRecord, declared: Properties): Properties {
  const { env, owner } = splitMark(marked);
  const declaredEnv = (declared.env ?? {}) as Record<string, string>;
  const own = Object.entries(env).filter(([key]) => key in declaredEnv || !PLATFORM_VARIABLES.includes(key));
  return { ...rest, env: Object.fromEntries(own), owner: owner ?? "" };
}

function refuseForeign(existing: TemplateRecord, owner: string): void {
  const holder = splitMark(existing.env).owner;
  if (holder === owner) return;
  throw new Error(
    `RunPod already has a template named "${existing.name}" (${existing.id}), made by ${holder ?? "somebody else"} and not by ` +
      `${owner}. Choose another name, or delete that template.`,
  );
}

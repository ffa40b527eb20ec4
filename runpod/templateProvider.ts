import type { dynamic } from "@pulumi/pulumi";
import { asDeclared, changed, checkFields, diffFields, isKnown, type Properties } from "../dynamic/fields";
import type { TemplateRecord, TemplateSettings } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { gone } from "./gone";
import { splitMark, withMark } from "./ownerTag";
import { waitingOutUse } from "./retry";
import { rollingOut } from "./rollout";
import { checkImage, checkName, takenBy } from "./templateChecks";
import { type TemplateInputs, templateFields } from "./templateFields";
import { changing, UnfinishedError } from "./unfinished";

// What RunPod writes into an environment by itself; the names that begin so are its own.
const PLATFORM_VARIABLE = /^(?:PORT|PORT_HEALTH|RUNPOD_.+)$/;

/** The name alone does not reach the workers. */
const ROLLING = ["imageName", "env", "containerDiskInGb", "dockerArgs", "containerRegistryAuthId"] as const;

/** What Pulumi calls for a template. Everything is changed in place, a name too. */
export const template = {
  async check(olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(templateFields, news);
    if (failures.length === 0) {
      const before = checkFields(templateFields, olds).inputs;
      const isNew = (...names: (keyof TemplateInputs)[]) =>
        names.some((name) => changed(before, inputs, name)) && isKnown(names.map((name) => inputs[name]));
      const known = inputs as TemplateInputs;
      if (isNew("name", "owner")) failures.push(...(await checkName(connection(), known)));
      if (isNew("imageName", "containerDiskInGb")) failures.push(...(await checkImage(connection(), known)));
    }
    return { inputs, failures };
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
        const reason = existing && takenBy(existing, inputs.owner);
        if (reason !== undefined) throw new Error(reason);
        return existing;
      },
      (existing: { id: string } | undefined) => client.saveTemplate(settings(inputs), existing?.id),
      (id, cause) => new UnfinishedError(id, inputs, properties, cause),
    );
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await connection().client.getTemplate(id);
    if (record === undefined) return { id: "" };
    const props = asDeclared(declared, actual(record, declared));
    return { id, props, inputs: { ...props } };
  },

  /** Waits for the workers of the endpoints that run it: it is the template that rolls them. */
  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const { client, watch, rollout } = connection();
    if ((await client.getTemplate(id)) === undefined) throw gone("Template", id);
    const isRolling = !isOnly("name", trusted(olds), inputs);
    const endpoints = isRolling ? (await client.listEndpoints()).filter(({ templateId }) => templateId === id) : [];
    await changing(id, inputs, news, () =>
      rollingOut(watch, rollout, endpoints, () => client.saveTemplate(settings(inputs), id)),
    );
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

/** Whether nothing else than that field differs. After an unfinished update nothing differs, which is not "only". */
function isOnly(field: "name", before: TemplateInputs, after: TemplateInputs): boolean {
  return changed(before, after, field) && !ROLLING.some((name) => changed(before, after, name));
}

function settings({ owner, env, ...rest }: TemplateInputs): TemplateSettings {
  return { ...rest, env: withMark(env, owner) };
}

/** A template of RunPod as inputs; what the platform added to the environment is left out unless it was declared. */
function actual({ id: _, env: marked, ...rest }: TemplateRecord, declared: Properties): Properties {
  const { env, owner } = splitMark(marked);
  const declaredEnv = (declared.env ?? {}) as Record<string, string>;
  const own = Object.entries(env).filter(([key]) => key in declaredEnv || !PLATFORM_VARIABLE.test(key));
  return { ...rest, env: Object.fromEntries(own), owner: owner ?? "" };
}

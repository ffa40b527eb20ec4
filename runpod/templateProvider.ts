import { setTimeout as sleep } from "node:timers/promises";
import type { dynamic } from "@pulumi/pulumi";
import { asDeclared, changed, checkFields, diffFields, isKnown, type Properties } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { EndpointRecord, TemplateRecord, TemplateSettings } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { deleteEndpoints, explainUse } from "./duplicates";
import { addOwnerTag, splitOwnerTag } from "./ownerTag";
import { lookAgain, retryWhileInUse } from "./retry";
import { applyRollout } from "./rollout";
import { adoptionConflict, checkImage, checkName } from "./templateChecks";
import { type TemplateInputs, templateFields } from "./templateFields";

/** Environment variables that RunPod adds. */
const PLATFORM_VARIABLE = /^(?:PORT|PORT_HEALTH|RUNPOD_.+)$/;

/** A change of these fields rolls the workers. A change of the name does not. */
const ROLLOUT_FIELDS = ["imageName", "env", "containerDiskInGb", "dockerArgs", "containerRegistryAuthId"] as const;

/** Provider methods of a template. Every field is changed in place, the name too. */
export const template = {
  async check(olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(templateFields, news);
    if (failures.length === 0) {
      const before = checkFields(templateFields, olds).inputs;
      const isNew = (...names: (keyof TemplateInputs)[]) =>
        names.some((name) => changed(before, inputs, name)) && isKnown(names.map((name) => inputs[name]));
      const known = inputs as TemplateInputs;
      // A template whose name has not changed is in the state, so it belongs to this stack even if its owner tag is
      // wrong. The update restores the tag.
      if (isNew("name")) failures.push(...(await checkName(connection(), known)));
      if (isNew("imageName", "containerDiskInGb")) failures.push(...(await checkImage(connection(), known)));
    }
    return { inputs, failures };
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return diffFields(templateFields, olds, news);
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { client, settle } = connection();
    const find = async () => {
      const existing = await client.findTemplateByName(inputs.name);
      const conflict = existing && adoptionConflict(existing, inputs.owner);
      if (conflict !== undefined) throw new Error(conflict);
      return existing;
    };
    const save = (existing?: TemplateRecord) => client.saveTemplate(settings(inputs), existing?.id);
    const { id } = await createOnce({ find, save, settle }, inputs, properties);
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const { client, settle } = connection();
    const record = await lookAgain(settle, () => client.getTemplate(id));
    if (record === undefined) return { id: "" };
    const props = asDeclared(declared, actualInputs(record, declared));
    return { id, props, inputs: { ...props } };
  },

  /**
   * Waits for the workers of the endpoints that use the template, because a change of the template rolls these workers.
   */
  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = checkedInputs(news);
    const { client, monitor, rollout, settle } = connection();
    if ((await lookAgain(settle, () => client.getTemplate(id))) === undefined)
      throw missingResource("RunPod template", id);
    const isRolling = !isOnlyRenamed(checkedInputs(olds), inputs);
    const endpoints = isRolling ? (await client.listEndpoints()).filter(({ templateId }) => templateId === id) : [];
    const save = () => client.saveTemplate(settings(inputs), id);
    await recordAttempt(id, inputs, news, () => applyRollout(monitor, rollout, endpoints, save));
    return { outs: inputs };
  },

  /**
   * Also deletes the stack's endpoints that still use the template. Pulumi has already deleted the endpoint in its
   * state. So these endpoints come from creates without a response. With REST, such an endpoint can appear even after
   * the template is deleted.
   */
  async delete(id: string): Promise<void> {
    const { client, inUse, settle } = connection();
    const record = await lookAgain(settle, () => client.getTemplate(id));
    try {
      await retryWhileInUse(inUse, async () => {
        await deleteUsers(id, record);
        await client.deleteTemplate(id);
      });
    } catch (error) {
      throw await explainUse(client, id, error);
    }
    await sleep(settle.limitMs);
    await deleteUsers(id, record);
  },
};

/**
 * Deletes the endpoints that use a template and have its owner. When the template no longer exists, the owner is
 * unknown, so all endpoints of the template are deleted.
 */
async function deleteUsers(templateId: string, template: TemplateRecord | undefined): Promise<void> {
  const owner = template && splitOwnerTag(template.env).owner;
  const isOwn = (each: EndpointRecord) => template === undefined || (owner !== undefined && each.owner === owner);
  const all = await connection().client.listEndpoints();
  const users = all.filter((each) => each.sourceTemplateId === templateId && isOwn(each));
  if (users.length === 0) return;
  const list = users.map(({ name, id }) => `"${name}" (${id})`).join(", ");
  console.log(`RunPod still lists endpoints of the template ${templateId}: ${list}. The program deletes them.`);
  await deleteEndpoints(connection(), users);
}

/** Returns the inputs, which `check` has validated. */
function checkedInputs(properties: Properties): TemplateInputs {
  return checkFields(templateFields, properties).inputs as TemplateInputs;
}

/**
 * Whether only the name differs. False when nothing differs. In that case the previous update did not finish, so this
 * update must wait for the workers.
 */
function isOnlyRenamed(before: TemplateInputs, after: TemplateInputs): boolean {
  return changed(before, after, "name") && !ROLLOUT_FIELDS.some((name) => changed(before, after, name));
}

function settings({ owner, env, ...rest }: TemplateInputs): TemplateSettings {
  return { ...rest, env: addOwnerTag(env, owner) };
}

/** Converts a template to inputs. Omits environment variables that RunPod adds, unless the program declares them. */
function actualInputs({ id: _, env: taggedEnv, ...rest }: TemplateRecord, declared: Properties): Properties {
  const { env, owner } = splitOwnerTag(taggedEnv);
  const declaredEnv = (declared.env ?? {}) as Record<string, string>;
  const own = Object.entries(env).filter(([key]) => key in declaredEnv || !PLATFORM_VARIABLE.test(key));
  return { ...rest, env: Object.fromEntries(own), owner: owner ?? "" };
}

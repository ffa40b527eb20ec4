import type { dynamic } from "@pulumi/pulumi";
import { changed, checkFields, diffFields, isKnown, type Properties } from "../dynamic/fields";
import type { RegistryAuthRecord, RegistryAuthSettings } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { gone } from "./gone";
import { namePrefix } from "./ownerTag";
import { type RegistryAuthInputs, registryAuthFields } from "./registryAuthFields";
import { waitingOutUse } from "./retry";
import { changing, UnfinishedError } from "./unfinished";

/** What of them an update changes. */
const CREDENTIALS = ["username", "password"];

/** What Pulumi calls for registry credentials. User name and password are changed in place, a new name is a new resource. */
export const registryAuth = {
  async check(olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(registryAuthFields, news);
    const { name, owner } = inputs;
    if (typeof name === "string" && typeof owner === "string" && isKnown([name, owner])) {
      const prefix = namePrefix(owner);
      if (!name.startsWith(prefix)) {
        failures.push({ property: "name", reason: `must begin with ${prefix}, the mark of this stack, got "${name}"` });
      }
    }
    const isInPlace = olds.password !== undefined && olds.name === name;
    const [first] = CREDENTIALS.filter((field) => isKnown(inputs[field]) && changed(olds, inputs, field));
    if (connection().api === "rest" && isInPlace && first !== undefined) {
      const reason =
        "cannot be changed through RunPod's REST API: give these credentials another name, which makes new ones, " +
        "or set runpodApi to graphql while RunPod has it";
      failures.push({ property: first, reason });
    }
    return { inputs, failures };
  },

  /** The same name again, as when a replacement is asked for, can only be made after the old one is gone. */
  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return { ...diffFields(registryAuthFields, olds, news, ["name"]), deleteBeforeReplace: olds.name === news.name };
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = trusted(properties);
    const { api, client, inUse } = connection();
    let isAsked = false;
    const { id } = await createOnce(
      async () => (await client.listRegistryAuths()).find(({ name }) => name === inputs.name),
      async (existing: { id: string } | undefined) => {
        if (existing !== undefined && api === "graphql") {
          await client.updateRegistryAuth(existing.id, inputs);
          return existing;
        }
        // Left behind by an attempt of now it is as wanted; from another time, its password may be another.
        if (existing !== undefined && isAsked) return existing;
        if (existing !== undefined) await waitingOutUse(inUse, () => client.deleteRegistryAuth(existing.id));
        isAsked = true;
        return client.createRegistryAuth(settings(inputs));
      },
      (id, cause) => new UnfinishedError(id, inputs, properties, cause),
    );
    return { id, outs: inputs };
  },

  /** RunPod tells the name only: the rest is what was declared, and missing after an import. */
  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await find(id);
    if (record === undefined) return { id: "" };
    const { owner = "", username, password } = declared;
    const kept = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
    const props = { owner, ...kept, name: record.name };
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, _olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const { api, client } = connection();
    if ((await find(id)) === undefined) throw gone("RegistryAuth", id);
    // Imported through REST, there is nothing to do but to believe the program: `check` has refused a real change.
    if (api === "graphql") await changing(id, inputs, news, () => client.updateRegistryAuth(id, inputs));
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await waitingOutUse(inUse, () => client.deleteRegistryAuth(id));
  },
};

/** Inputs that `check` has passed. */
function trusted(properties: Properties): RegistryAuthInputs {
  return checkFields(registryAuthFields, properties).inputs as RegistryAuthInputs;
}

function settings({ owner: _, ...rest }: RegistryAuthInputs): RegistryAuthSettings {
  return rest;
}

async function find(id: string): Promise<RegistryAuthRecord | undefined> {
  return (await connection().client.listRegistryAuths()).find((each) => each.id === id);
}

import type { dynamic } from "@pulumi/pulumi";
import { z } from "zod";
import { checkFields, diffFields, isKnown, mustBe, type Properties, type Values } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { RegistryAuthRecord, RegistryAuthSettings } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { ownerNamePrefix } from "./ownerTag";
import { lookAgain, retryWhileInUse } from "./retry";
import { nameField, ownerField } from "./templateFields";

const usernameError = mustBe("the registry's user name (AWS for Amazon ECR)");

const registryAuthFields = {
  owner: ownerField,
  name: nameField,
  username: z.string({ error: usernameError }).min(1, { error: usernameError }),
  // The value is a secret, so the message never quotes it.
  password: z
    .string({ error: ({ input }) => (input === undefined ? "is required" : "must be a text") })
    .min(1, { error: "must not be empty" }),
};

type RegistryAuthInputs = Values<typeof registryAuthFields>;

/**
 * Provider methods of registry credentials. A new name replaces the credentials. A new user name or password changes
 * them in place.
 */
export const registryAuth = {
  async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(registryAuthFields, news);
    const { name, owner } = inputs;
    if (typeof name === "string" && typeof owner === "string" && isKnown([name, owner])) {
      const prefix = ownerNamePrefix(owner);
      if (!name.startsWith(prefix)) {
        failures.push({
          property: "name",
          reason: `must begin with ${prefix}, the prefix of this stack, got "${name}"`,
        });
      }
    }
    return { inputs, failures };
  },

  /** A replacement under the same name (`pulumi up --replace`) must delete the old credentials first: names are unique. */
  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return { ...diffFields(registryAuthFields, olds, news, ["name"]), deleteBeforeReplace: olds.name === news.name };
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { client, settle } = connection();
    const find = async () => (await client.listRegistryAuths()).find(({ name }) => name === inputs.name);
    const save = async (existing?: RegistryAuthRecord) => {
      if (existing === undefined) return client.createRegistryAuth(settings(inputs));
      await client.updateRegistryAuth(existing.id, inputs);
      return existing;
    };
    const { id } = await createOnce({ find, save, settle }, inputs, properties);
    return { id, outs: inputs };
  },

  /** RunPod returns only the name. The other properties come from the program; after an import they are missing. */
  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await findById(id);
    if (record === undefined) return { id: "" };
    const { owner = "", username, password } = declared;
    const kept = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
    const props = { owner, ...kept, name: record.name };
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, _olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = checkedInputs(news);
    if ((await findById(id)) === undefined) throw missingResource("RunPod registry credentials", id);
    const { client } = connection();
    await recordAttempt(id, inputs, news, () => client.updateRegistryAuth(id, inputs));
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await retryWhileInUse(inUse, () => client.deleteRegistryAuth(id));
  },
};

/** Inputs that `check` has validated. */
function checkedInputs(properties: Properties): RegistryAuthInputs {
  return checkFields(registryAuthFields, properties).inputs as RegistryAuthInputs;
}

function settings({ owner: _, ...rest }: RegistryAuthInputs): RegistryAuthSettings {
  return rest;
}

async function findById(id: string): Promise<RegistryAuthRecord | undefined> {
  const { client, settle } = connection();
  return lookAgain(settle, async () => (await client.listRegistryAuths()).find((each) => each.id === id));
}

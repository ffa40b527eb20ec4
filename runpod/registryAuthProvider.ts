import type { dynamic } from "@pulumi/pulumi";
import { z } from "zod";
import { changed, checkFields, diffFields, isKnown, mustBe, type Properties, type Values } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { RegistryAuthRecord, RegistryAuthSettings } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { ownerNamePrefix } from "./ownerTag";
import { retryWhileInUse } from "./retry";
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

/** Fields that an update changes in place. */
const CREDENTIALS = ["username", "password"];

/**
 * Provider methods of registry credentials. A new name replaces the credentials. A new user name or password changes
 * them in place.
 */
export const registryAuth = {
  async check(olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
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
    const isInPlace = olds.password !== undefined && olds.name === name;
    const [first] = CREDENTIALS.filter((field) => isKnown(inputs[field]) && changed(olds, inputs, field));
    if (connection().api === "rest" && isInPlace && first !== undefined) {
      const reason =
        "cannot be changed through RunPod's REST API: rename these credentials, which creates new ones, " +
        "or set runpodApi to graphql for as long as RunPod offers its GraphQL API";
      failures.push({ property: first, reason });
    }
    return { inputs, failures };
  },

  /** A replacement under the same name (`pulumi up --replace`) must delete the old credentials first: names are unique. */
  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return { ...diffFields(registryAuthFields, olds, news, ["name"]), deleteBeforeReplace: olds.name === news.name };
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { api, client, inUse } = connection();
    const findByName = async () => (await client.listRegistryAuths()).find(({ name }) => name === inputs.name);
    let hasTried = false;
    const save = async (existing?: RegistryAuthRecord) => {
      if (existing !== undefined && api === "graphql") {
        await client.updateRegistryAuth(existing.id, inputs);
        return existing;
      }
      // Existing credentials certainly have the right password only if an earlier attempt of this create made them.
      if (existing !== undefined && hasTried) return existing;
      if (existing !== undefined) await retryWhileInUse(inUse, () => client.deleteRegistryAuth(existing.id));
      hasTried = true;
      return client.createRegistryAuth(settings(inputs));
    };
    const { id } = await createOnce(findByName, save, inputs, properties);
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
    const { api, client } = connection();
    if ((await findById(id)) === undefined) throw missingResource("RunPod registry credentials", id);
    // With REST, `check` rejects a change of credentials, so this method runs only after an import. It then stores the
    // declared credentials in the state and does not call RunPod.
    if (api === "graphql") await recordAttempt(id, inputs, news, () => client.updateRegistryAuth(id, inputs));
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
  return (await connection().client.listRegistryAuths()).find((each) => each.id === id);
}

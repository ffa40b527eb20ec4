import type { dynamic } from "@pulumi/pulumi";
import type { z } from "zod";
import { checkFields, diffFields, isKnown, type Properties, type Values } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { RunpodClient } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { findById, type Listing } from "./nullable";
import { ownerNamePrefix } from "./ownerTag";
import { lookAgain } from "./retry";

/** A resource as RunPod returns it, without the content. */
interface Named {
  id: string;
  name: string;
}

/** Schemas of the fields. The name cannot be changed. */
type Fields = { owner: z.ZodType<string>; name: z.ZodType<string> } & Record<string, z.ZodType>;

/** One kind of resource whose content RunPod never returns. */
interface Kind<F extends Fields> {
  /** Name of the kind in messages. */
  label: string;
  fields: F;
  list(client: RunpodClient): Promise<Listing<Named>>;
  create(client: RunpodClient, inputs: Values<F>): Promise<{ id: string }>;
  /** Replaces the content. */
  update(client: RunpodClient, id: string, inputs: Values<F>): Promise<void>;
  remove(client: RunpodClient, id: string): Promise<void>;
}

/**
 * Creates the provider methods of a kind whose content RunPod never returns: registry credentials and secrets. A new
 * name replaces the resource. New content changes the resource in place. The beginning of the name is the owner tag,
 * because these kinds have no other field for a tag.
 */
export function writeOnlyProvider<F extends Fields>({ label, fields, list, create, update, remove }: Kind<F>) {
  /** Returns the inputs, which `check` has validated. */
  const checkedInputs = (properties: Properties) => checkFields(fields, properties).inputs as Values<F> & Properties;

  async function findLive(id: string): Promise<Named | undefined> {
    const { client, settle } = connection();
    return lookAgain(settle, async () => findById(await list(client), id));
  }

  return {
    async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
      const { inputs, failures } = checkFields(fields, news);
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

    /** A replacement under the same name (`pulumi up --replace`) must delete the old resource first: names are unique. */
    async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
      return { ...diffFields(fields, olds, news, ["name"]), deleteBeforeReplace: olds.name === news.name };
    },

    async create(properties: Properties): Promise<dynamic.CreateResult> {
      const inputs = checkedInputs(properties);
      const { client, settle } = connection();
      const find = async () => (await list(client)).items.find(({ name }) => name === inputs.name);
      const save = async (existing?: Named) => {
        if (existing === undefined) return create(client, inputs);
        await update(client, existing.id, inputs);
        return existing;
      };
      const { id } = await createOnce({ find, save, settle }, withoutContent(inputs), properties);
      return { id, outs: inputs };
    },

    /** RunPod returns only the name. The content comes from the state. After an import, the content is missing. */
    async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
      const record = await findLive(id);
      if (record === undefined) return { id: "" };
      const kept = Object.entries(declared).filter(([field, value]) => field in fields && value !== undefined);
      const props = { owner: "", ...Object.fromEntries(kept), name: record.name };
      return { id, props, inputs: { ...props } };
    },

    async update(id: string, _olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
      const inputs = checkedInputs(news);
      if ((await findLive(id)) === undefined) throw missingResource(label, id);
      await recordAttempt(id, withoutContent(inputs), news, () => update(connection().client, id, inputs));
      return { outs: inputs };
    },

    async delete(id: string): Promise<void> {
      await remove(connection().client, id);
    },
  };
}

/**
 * Returns the properties to store after an attempt with an unknown outcome. They contain no content: `read` returns the
 * content from the state, so new content would count as stored at RunPod. Without content in the state, the next `up`
 * shows a change, even after a refresh.
 */
function withoutContent({ owner, name }: Properties): Properties {
  return { owner, name };
}

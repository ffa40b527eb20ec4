import type { dynamic } from "@pulumi/pulumi";
import { createOnce } from "./adopt";
import type { EndpointRecord, EndpointSettings, RunpodClient } from "./client";
import { connection } from "./connection";
import { type EndpointInputs, endpointFields } from "./endpointFields";
import { asDeclared, checkFields, diffFields, type Properties } from "./fields";
import { splitMark } from "./mark";
import { waitingOutUse } from "./patience";

/** What Pulumi calls for an endpoint. Everything is changed in place. */
export const endpoint = {
  async check(_olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(endpointFields, news);
    const { workersMin, workersMax } = inputs;
    if (typeof workersMin === "number" && typeof workersMax === "number" && workersMin > workersMax) {
      failures.push({
        property: "workersMin",
        reason: `must be at most workersMax (${workersMax}), got ${workersMin}`,
      });
    }
    return { inputs, failures };
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return diffFields(endpointFields, olds, news);
  },

  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = trusted(properties);
    const { client } = connection();
    const { id } = await createOnce(
      () => findOwn(client, inputs),
      (existingId) => client.saveEndpoint(settings(inputs), existingId),
    );
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await connection().client.getEndpoint(id);
    if (record === undefined) return { id: "" };
    const { id: _, ...fields } = record;
    const props = asDeclared(declared, { ...fields, owner: declared.owner });
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, _olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const { client } = connection();
    if ((await client.getEndpoint(id)) === undefined) {
      throw new Error(`Endpoint ${id} is gone from RunPod. Run "pulumi refresh", then "pulumi up" makes it again.`);
    }
    await client.saveEndpoint(settings(inputs), id);
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await waitingOutUse(inUse, async () => {
      const record = await client.getEndpoint(id);
      if (record === undefined) return;
      // RunPod deletes only an endpoint that may have no workers.
      if (record.workersMin > 0 || record.workersMax > 0) {
        const { id: _, ...fields } = record;
        await client.saveEndpoint({ ...fields, workersMin: 0, workersMax: 0 }, id);
      }
      await client.deleteEndpoint(id);
    });
  },
};

/** Inputs that `check` has passed. */
function trusted(properties: Properties): EndpointInputs {
  return checkFields(endpointFields, properties).inputs as EndpointInputs;
}

function settings({ owner: _, ...rest }: EndpointInputs): EndpointSettings {
  return rest;
}

/**
 * The endpoint of that name that this stack made, if any. An endpoint carries no mark of its own: it is ours when the
 * template it runs carries ours.
 */
async function findOwn(client: RunpodClient, inputs: EndpointInputs): Promise<EndpointRecord | undefined> {
  const sameName = await client.findEndpointsByName(inputs.name);
  const own: EndpointRecord[] = [];
  for (const each of sameName) if (await isOf(inputs.owner, each, client)) own.push(each);
  if (own.length > 1) {
    const ids = own.map(({ id }) => id).join(", ");
    throw new Error(
      `RunPod has ${own.length} endpoints named "${inputs.name}" of ${inputs.owner} (${ids}). Delete all but one.`,
    );
  }
  const [foreign] = sameName;
  if (own.length === 0 && foreign !== undefined) {
    throw new Error(
      `RunPod already has an endpoint named "${foreign.name}" (${foreign.id}) that ${inputs.owner} did not make. ` +
        "Choose another name, or delete that endpoint.",
    );
  }
  return own[0];
}

async function isOf(owner: string, found: EndpointRecord, client: RunpodClient): Promise<boolean> {
  const template = await client.getTemplate(found.templateId);
  return template !== undefined && splitMark(template.env).owner === owner;
}

import type { dynamic } from "@pulumi/pulumi";
import { asDeclared, changed, checkFields, diffFields, type Properties } from "../dynamic/fields";
import type { EndpointRecord, EndpointSettings, RunpodClient } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { type EndpointInputs, endpointFields } from "./endpointFields";
import { gone } from "./gone";
import { withinQuota } from "./quota";
import { waitingOutUse } from "./retry";
import { rollingOut } from "./rollout";
import { changing, UnfinishedError } from "./unfinished";

/** What RunPod does to running workers at once; the other fields take effect with the next ones. */
const ROLLING = ["templateId", "gpuIds", "gpuCount", "locations", "minCudaVersion", "flashBootType", "modelReferences"];

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
    if (connection().api === "rest") failures.push(...beyondRest(inputs));
    return { inputs, failures };
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return diffFields(endpointFields, olds, news);
  },

  /** Waits for workers only where some are to run always. */
  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = trusted(properties);
    const { client, watch, rollout, workerQuota } = connection();
    const { id } = await createOnce(
      () => findOwn(client, inputs),
      (existing: { id: string } | undefined) =>
        withinQuota(client, workerQuota, inputs, existing?.id, () =>
          client.saveEndpoint(settings(inputs), existing?.id),
        ),
      (id, cause) => new UnfinishedError(id, inputs, properties, cause),
    );
    if (inputs.workersMin > 0) {
      await changing(id, inputs, properties, () => rollingOut(watch, rollout, [{ ...inputs, id }], async () => {}));
    }
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await connection().client.getEndpoint(id);
    if (record === undefined) return { id: "" };
    const { id: _, owner, ...fields } = record;
    // Without its mark it is still the one in the state: the template's own drift shows what happened.
    const props = asDeclared(declared, { ...fields, owner: owner ?? declared.owner ?? "" });
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = trusted(news);
    const { client, watch, rollout, workerQuota } = connection();
    if ((await client.getEndpoint(id)) === undefined) throw gone("Endpoint", id);
    const save = () => client.saveEndpoint(settings(inputs), id);
    const saveWithin = () => withinQuota(client, workerQuota, inputs, id, save);
    const before = trusted(olds);
    const differing = Object.keys(endpointFields).filter((name) => changed(before, inputs, name));
    // Nothing differs after an unfinished update: it is gone through again.
    const isRolling = differing.length === 0 || differing.some((name) => ROLLING.includes(name));
    await changing(id, inputs, news, () =>
      rollingOut(watch, rollout, isRolling ? [{ ...inputs, id }] : [], saveWithin),
    );
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await waitingOutUse(inUse, async () => {
      const record = await client.getEndpoint(id);
      if (record === undefined) return;
      if (record.workersMin > 0 || record.workersMax > 0) await client.scaleToZero(record);
      await client.deleteEndpoint(id);
    });
  },
};

/** What RunPod's REST API cannot do yet. */
function beyondRest({ modelReferences, scalerType }: Properties): dynamic.CheckFailure[] {
  const failures: dynamic.CheckFailure[] = [];
  if (Array.isArray(modelReferences) && modelReferences.length > 0) {
    const reason =
      "is not known to RunPod's REST API: bake the model into the image, or set runpodApi to graphql while RunPod has it";
    failures.push({ property: "modelReferences", reason });
  }
  if (scalerType === "REQUEST_COUNT") {
    const reason = "must be QUEUE_DELAY with RunPod's REST API: with REQUEST_COUNT it knows no idleTimeoutSeconds";
    failures.push({ property: "scalerType", reason });
  }
  return failures;
}

/** Inputs that `check` has passed. */
function trusted(properties: Properties): EndpointInputs {
  return checkFields(endpointFields, properties).inputs as EndpointInputs;
}

function settings({ owner: _, ...rest }: EndpointInputs): EndpointSettings {
  return rest;
}

/** The endpoint of that name that this stack made, if any. */
async function findOwn(client: RunpodClient, { name, owner }: EndpointInputs): Promise<EndpointRecord | undefined> {
  const sameName = (await client.listEndpoints()).filter((each) => each.name === name);
  const own = sameName.filter((each) => each.owner === owner);
  if (own.length > 1) {
    const ids = own.map(({ id }) => id).join(", ");
    throw new Error(`RunPod has ${own.length} endpoints named "${name}" of ${owner} (${ids}). Delete all but one.`);
  }
  const [foreign] = sameName;
  if (own.length === 0 && foreign !== undefined) {
    throw new Error(
      `RunPod already has an endpoint named "${name}" (${foreign.id}) that ${owner} did not make. ` +
        "Choose another name, or delete that endpoint.",
    );
  }
  return own[0];
}

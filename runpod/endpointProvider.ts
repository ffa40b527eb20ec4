import type { dynamic } from "@pulumi/pulumi";
import { asDeclared, changed, checkFields, diffFields, type Properties } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { EndpointRecord, EndpointSettings, RunpodClient } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { type EndpointInputs, endpointFields } from "./endpointFields";
import { saveWithinQuota } from "./quota";
import { retryWhileInUse } from "./retry";
import { applyRollout } from "./rollout";

/** Fields whose change rolls the workers. A change of another field applies only to workers that start later. */
const ROLLOUT_FIELDS = [
  "templateId",
  "gpuIds",
  "gpuCount",
  "locations",
  "minCudaVersion",
  "flashBootType",
  "modelReferences",
];

/** Provider methods of an endpoint. Every field is changed in place. */
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
    if (connection().api === "rest") failures.push(...unsupportedByRest(inputs));
    return { inputs, failures };
  },

  async diff(_id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    return diffFields(endpointFields, olds, news);
  },

  /** Waits for the workers only if `workersMin` is above 0. */
  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { client, monitor, rollout, workerQuota } = connection();
    const save = (existing?: EndpointRecord) =>
      saveWithinQuota(client, workerQuota, inputs, existing?.id, () =>
        client.saveEndpoint(settings(inputs), existing?.id),
      );
    const { id } = await createOnce(() => findOwn(client, inputs), save, inputs, properties);
    if (inputs.workersMin > 0) {
      const isSaved = async () => {};
      await recordAttempt(id, inputs, properties, () => applyRollout(monitor, rollout, [{ ...inputs, id }], isSaved));
    }
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const record = await connection().client.getEndpoint(id);
    if (record === undefined) return { id: "" };
    const { id: _, owner, ...fields } = record;
    // If the owner tag is missing, the owner comes from the state. The refresh of the template shows the missing tag as
    // drift.
    const props = asDeclared(declared, { ...fields, owner: owner ?? declared.owner ?? "" });
    return { id, props, inputs: { ...props } };
  },

  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = checkedInputs(news);
    const { client, monitor, rollout, workerQuota } = connection();
    if ((await client.getEndpoint(id)) === undefined) throw missingResource("RunPod endpoint", id);
    const before = checkedInputs(olds);
    const differing = Object.keys(endpointFields).filter((name) => changed(before, inputs, name));
    // After an unfinished update, the next update has no differing field but must still wait for the rollout.
    const isRolling = differing.length === 0 || differing.some((name) => ROLLOUT_FIELDS.includes(name));
    const endpoints = isRolling ? [{ ...inputs, id }] : [];
    const save = () =>
      saveWithinQuota(client, workerQuota, inputs, id, () => client.saveEndpoint(settings(inputs), id));
    await recordAttempt(id, inputs, news, () => applyRollout(monitor, rollout, endpoints, save));
    return { outs: inputs };
  },

  async delete(id: string): Promise<void> {
    const { client, inUse } = connection();
    await retryWhileInUse(inUse, async () => {
      const record = await client.getEndpoint(id);
      if (record === undefined) return;
      if (record.workersMin > 0 || record.workersMax > 0) await client.scaleToZero(record);
      await client.deleteEndpoint(id);
    });
  },
};

/** One failure per input that RunPod's REST API does not support yet. */
function unsupportedByRest({ modelReferences, scalerType }: Properties): dynamic.CheckFailure[] {
  const failures: dynamic.CheckFailure[] = [];
  if (Array.isArray(modelReferences) && modelReferences.length > 0) {
    const reason =
      "is not supported by RunPod's REST API: put the model into the image, or set runpodApi to graphql for as long as RunPod offers its GraphQL API";
    failures.push({ property: "modelReferences", reason });
  }
  if (scalerType === "REQUEST_COUNT") {
    const reason =
      "must be QUEUE_DELAY with RunPod's REST API, which does not support idleTimeoutSeconds with REQUEST_COUNT";
    failures.push({ property: "scalerType", reason });
  }
  return failures;
}

/** Inputs that `check` has validated. */
function checkedInputs(properties: Properties): EndpointInputs {
  return checkFields(endpointFields, properties).inputs as EndpointInputs;
}

function settings({ owner: _, ...rest }: EndpointInputs): EndpointSettings {
  return rest;
}

/**
 * Finds the stack's endpoint by its name. Throws when the stack has several endpoints with this name. Also throws when
 * only somebody else has an endpoint with this name.
 */
async function findOwn(client: RunpodClient, { name, owner }: EndpointInputs): Promise<EndpointRecord | undefined> {
  const sameName = (await client.listEndpoints()).filter((each) => each.name === name);
  const own = sameName.filter((each) => each.owner === owner);
  if (own.length > 1) {
    const ids = own.map(({ id }) => id).join(", ");
    throw new Error(`${owner} has ${own.length} endpoints named "${name}" at RunPod (${ids}). Delete all but one.`);
  }
  const [foreign] = sameName;
  if (own.length === 0 && foreign !== undefined) {
    throw new Error(
      `RunPod already has an endpoint named "${name}" (${foreign.id}) that does not belong to ${owner}. ` +
        "Choose another name, or delete that endpoint.",
    );
  }
  return own[0];
}

import type { dynamic } from "@pulumi/pulumi";
import { asDeclared, changed, checkFields, diffFields, type Properties } from "../dynamic/fields";
import { missingResource } from "../dynamic/missing";
import { recordAttempt } from "../dynamic/unfinished";
import type { EndpointRecord, EndpointSettings, RunpodClient } from "./client";
import { connection } from "./connection";
import { createOnce } from "./createOnce";
import { waitForJobs } from "./drain";
import { deleteEndpoints, describeDuplicates, duplicatesOf } from "./duplicates";
import { type EndpointInputs, endpointFields } from "./endpointFields";
import { isNotFound, messageOf } from "./error";
import { saveWithinQuota } from "./quota";
import { lookAgain } from "./retry";
import { applyRollout } from "./rollout";

/** A change of these fields rolls the workers. A change of another field applies only to workers that start later. */
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
  async check(olds: Properties, news: Properties): Promise<dynamic.CheckResult> {
    const { inputs, failures } = checkFields(endpointFields, news);
    const { workersMin, workersMax } = inputs;
    if (typeof workersMin === "number" && typeof workersMax === "number" && workersMin > workersMax) {
      failures.push({
        property: "workersMin",
        reason: `must be at most workersMax (${workersMax}), got ${workersMin}`,
      });
    }
    failures.push(...(await unsupportedByRest(olds, inputs)));
    return { inputs, failures };
  },

  /**
   * Compares the inputs with the state and with RunPod. So a preview without a refresh also shows these kinds of drift:
   *
   * - With REST v2, an update of the template misses an endpoint that RunPod's list does not show yet.
   * - RunPod lowers `workersMax` of an idle endpoint.
   * - A lost response can leave a duplicate.
   * - The state contains duplicates that a refresh found and that a concurrent update has deleted since.
   * - After two concurrent updates, the state can contain the id of a deleted duplicate; the replacement then adopts the
   *   remaining endpoint.
   */
  async diff(id: string, olds: Properties, news: Properties): Promise<dynamic.DiffResult> {
    const planned = diffFields(endpointFields, olds, news);
    let found: Found | undefined;
    try {
      found = await findById(id);
    } catch (error) {
      // An error of RunPod must not block a change of other resources.
      console.log(`${messageOf(error)} So it is unknown whether endpoint ${id} needs a repair.`);
      return planned;
    }
    if (found === undefined) {
      console.log(
        `Endpoint ${id} no longer exists at RunPod. The update creates a new endpoint, or adopts one with the same name.`,
      );
      return { changes: true, replaces: ["name"], deleteBeforeReplace: true };
    }
    const repairs = repairsOf(found, news);
    for (const repair of repairs) console.log(`${repair}.`);
    const hasOutdatedState = olds.duplicateIds !== undefined;
    return { ...planned, changes: planned.changes === true || repairs.length > 0 || hasOutdatedState };
  },

  /** Waits for the workers only if `workersMin` is above 0. */
  async create(properties: Properties): Promise<dynamic.CreateResult> {
    const inputs = checkedInputs(properties);
    const { client, monitor, rollout, settle } = connection();
    const save = (existing?: EndpointRecord) => saveEndpoint(inputs, existing?.id);
    const created = await createOnce({ find: () => findOwn(client, inputs), save, settle }, inputs, properties);
    const id = await settleToOne(created.id, inputs, properties);
    if (inputs.workersMin > 0) {
      const isSaved = async () => {};
      await recordAttempt(id, inputs, properties, () => applyRollout(monitor, rollout, [{ ...inputs, id }], isSaved));
    }
    return { id, outs: inputs };
  },

  async read(id: string, declared: Properties): Promise<dynamic.ReadResult> {
    const found = await findById(id);
    if (found === undefined) return { id: "" };
    const { live, duplicates } = found;
    const { id: _, owner, sourceTemplateId: __, idleTimeoutSeconds, modelReferences, ...fields } = live;
    const props = asDeclared(declared, {
      ...fields,
      // An API may not return these fields.
      idleTimeoutSeconds: idleTimeoutSeconds ?? declared.idleTimeoutSeconds,
      modelReferences: modelReferences ?? declared.modelReferences ?? [],
      // A missing owner tag is drift of the template, not of the endpoint. So the owner then comes from the state.
      owner: owner ?? declared.owner ?? "",
    });
    if (duplicates.length === 0) return { id, props, inputs: { ...props } };
    console.log(`${describeDuplicates(live, duplicates)}. Run "pulumi up", which keeps ${id}.`);
    return { id, props: { ...props, duplicateIds: duplicates.map((each) => each.id) }, inputs: { ...props } };
  },

  async update(id: string, olds: Properties, news: Properties): Promise<dynamic.UpdateResult> {
    const inputs = checkedInputs(news);
    const found = await findById(id);
    if (found === undefined) throw missingResource("RunPod endpoint", id);
    const { live, duplicates } = found;
    if (duplicates.length > 0) await removeDuplicates(live, duplicates);
    const { monitor, rollout } = connection();
    const before = checkedInputs(olds);
    const differing = Object.keys(endpointFields).filter((name) => changed(before, inputs, name));
    // If no field differs, the last update did not finish, so this update must wait for the rollout.
    const isRolling = differing.length === 0 || differing.some((name) => ROLLOUT_FIELDS.includes(name));
    const endpoints = isRolling ? [{ ...inputs, id }] : [];
    const save = () => saveEndpoint(inputs, id);
    await recordAttempt(id, inputs, news, () => applyRollout(monitor, rollout, endpoints, save));
    return { outs: inputs };
  },

  /**
   * Waits for the jobs that run. Also deletes the duplicates that RunPod lists. The delete of the template deletes
   * duplicates that appear later.
   */
  async delete(id: string): Promise<void> {
    const found = await findById(id);
    if (found === undefined) return;
    const { monitor, rollout } = connection();
    const endpoints = [found.live, ...found.duplicates];
    await Promise.all(endpoints.map((endpoint) => waitForJobs(monitor, rollout, endpoint)));
    await deleteEndpoints(connection(), endpoints);
  },
};

/**
 * Returns a failure for each changed value that RunPod's REST API does not support. An unchanged value is valid: an
 * endpoint that was created through GraphQL keeps such a value.
 */
async function unsupportedByRest(olds: Properties, news: Properties): Promise<dynamic.CheckFailure[]> {
  const { modelReferences, scalerType } = news;
  const addsModels =
    Array.isArray(modelReferences) && modelReferences.length > 0 && changed(olds, news, "modelReferences");
  const addsRequestCount = scalerType === "REQUEST_COUNT" && changed(olds, news, "scalerType");
  if (!(addsModels || addsRequestCount)) return [];
  const { api } = await connection().client.getControlPlane();
  if (api === "graphql") return [];
  const failures: dynamic.CheckFailure[] = [];
  if (addsModels) {
    const reason =
      "is not supported by RunPod's REST API: put the model into the image, or set runpodApi to graphql for as long as RunPod offers its GraphQL API";
    failures.push({ property: "modelReferences", reason });
  }
  if (addsRequestCount) {
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

function saveEndpoint(inputs: EndpointInputs, id: string | undefined): Promise<{ id: string }> {
  const { client, workerQuota } = connection();
  return saveWithinQuota(client, workerQuota, inputs, id, () => client.saveEndpoint(settings(inputs), id));
}

/**
 * Finds the stack's endpoint. The order of preference: an endpoint with equal name and template, with equal name, with
 * equal template.
 *
 * @throws Error when only somebody else has an endpoint with this name
 */
async function findOwn(
  client: RunpodClient,
  { name, owner, templateId }: EndpointInputs,
): Promise<EndpointRecord | undefined> {
  const all = await client.listEndpoints();
  const sameName = all.filter((each) => each.name === name);
  const own = sameName.filter((each) => each.owner === owner);
  if (own.length === 0 && sameName.length > 0) {
    const ids = sameName.map(({ id }) => id).join(", ");
    throw new Error(
      `RunPod already has an endpoint named "${name}" (${ids}) that does not belong to ${owner}. ` +
        "Choose another name, or delete that endpoint.",
    );
  }
  const hasTemplate = (each: EndpointRecord) => each.owner === owner && each.sourceTemplateId === templateId;
  return own.find(hasTemplate) ?? own[0] ?? all.find(hasTemplate);
}

/**
 * Deletes the duplicates of a created endpoint and returns the id of the remaining endpoint. Keeps the endpoint with
 * the lowest id that still exists, so that concurrent updates keep the same endpoint.
 */
async function settleToOne(id: string, inputs: EndpointInputs, given: Properties): Promise<string> {
  const { client, settle } = connection();
  const copies = await lookAgain(settle, async () => {
    const all = await client.listEndpoints();
    const created = all.find((each) => each.id === id);
    return created && [created, ...duplicatesOf(created, all)];
    // The endpoint exists, so a failed search for duplicates must not fail the create. The next diff searches again.
  }).catch(() => undefined);
  if (copies === undefined || copies.length < 2) return id;
  return recordAttempt(id, inputs, given, async () => {
    for (const kept of copies.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
      try {
        if (kept.id !== id) await saveEndpoint(inputs, kept.id);
      } catch (error) {
        // RunPod's list still showed a deleted endpoint.
        if (isNotFound(error)) continue;
        throw error;
      }
      const others = copies.filter((each) => each.id !== kept.id);
      await removeDuplicates(kept, others);
      return kept.id;
    }
    return id;
  });
}

/** An endpoint at RunPod and its duplicates. */
interface Found {
  live: EndpointRecord;
  duplicates: EndpointRecord[];
}

/** Reads an endpoint and its duplicates. Retries before it reports the endpoint as missing. */
function findById(id: string): Promise<Found | undefined> {
  const { client, settle } = connection();
  return lookAgain(settle, async () => {
    const all = await client.listEndpoints();
    const live = all.find((each) => each.id === id) ?? (await client.getEndpoint(id));
    return live && { live, duplicates: duplicatesOf(live, all) };
  });
}

async function removeDuplicates(kept: EndpointRecord, duplicates: EndpointRecord[]): Promise<void> {
  console.log(`${describeDuplicates(kept, duplicates)}. The program keeps ${kept.id} and deletes the others.`);
  await deleteEndpoints(connection(), duplicates);
}

/** Describes the drift that an update must repair even if program and state are equal. */
function repairsOf({ live, duplicates }: Found, { workersMax }: Properties): string[] {
  const isLowered = typeof workersMax === "number" && live.workersMax < workersMax;
  return [
    ...(live.templateId === ""
      ? [`Endpoint "${live.name}" (${live.id}) does not run its template's container. The update corrects this`]
      : []),
    ...(duplicates.length > 0 ? [`${describeDuplicates(live, duplicates)}. The update keeps ${live.id}`] : []),
    ...(isLowered
      ? [
          `RunPod has lowered workersMax of endpoint "${live.name}" (${live.id}) to ${live.workersMax}, as it does after 3 ` +
            `and 7 days without a request. The update restores ${workersMax}`,
        ]
      : []),
  ];
}

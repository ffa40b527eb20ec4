import { gpuTypes, pools } from "./catalog";
import { parseGpuIds } from "./gpuSelection";
import type { Endpoint, EndpointInput, FieldChange, Template, TemplateInput } from "./records";

/**
 * Kind of a refusal, which decides the HTTP status in REST v2: `missing` 404, `taken` 409, `image` and `kind` 422,
 * `rule` 400.
 */
export type Refusal = "rule" | "missing" | "taken" | "image" | "kind";

/** A call that breaks one of the account's rules. The message is RunPod's error text for the caller. */
export class AccountError extends Error {
  override readonly name = "AccountError";

  constructor(
    message: string,
    readonly refusal: Refusal = "rule",
  ) {
    super(message);
  }
}

/** Checks the rules for a template's own fields. @throws AccountError */
export function checkTemplate(input: Omit<TemplateInput, "id">): void {
  checkName(input.name, "Template");
  if (!input.imageName) throw new AccountError("imageName is required");
  if (input.containerDiskInGb < 1) throw new AccountError("containerDiskInGb must be at least 1");
  if (input.isServerless && input.volumeInGb !== 0)
    throw new AccountError("volumeInGb must be 0 for a serverless template");
}

/** Checks the rules for an endpoint's own fields. @throws AccountError */
export function checkEndpoint(input: Omit<EndpointInput, "id" | "template" | "templateId" | "bindEndpoint">): void {
  checkName(input.name, "Endpoint");
  if (input.type !== "QB" && input.type !== "LB") throw new AccountError(`type must be QB or LB, got ${input.type}`);
  if (!input.gpuIds && !input.instanceIds?.length) throw new AccountError("gpuIds is required");
  checkGpus(input.gpuIds ?? "");
  checkRange("idleTimeout", input.idleTimeout, 1, 3600);
  checkRange("gpuCount", input.gpuCount, 1, 10);
  checkRange("workersMin", input.workersMin, 0, input.workersMax);
  checkRange("scalerValue", input.scalerValue, 0.5, 3600);
  if (input.scalerType !== "QUEUE_DELAY" && input.scalerType !== "REQUEST_COUNT")
    throw new AccountError("scalerType must be QUEUE_DELAY or REQUEST_COUNT");
  if (input.type === "LB" && input.scalerType !== "REQUEST_COUNT")
    throw new AccountError("scalerType must be REQUEST_COUNT for a load-balancing endpoint");
  if (input.executionTimeoutMs !== 0) checkRange("executionTimeoutMs", input.executionTimeoutMs, 5_000, 604_800_000);
}

/**
 * @throws AccountError when `gpuIds` names an unknown pool, excludes a type outside its pools, or excludes every type
 */
function checkGpus(gpuIds: string): void {
  const { pools: chosen, excludedTypes } = parseGpuIds(gpuIds);
  const known = pools.map(({ id }) => id);
  for (const pool of chosen)
    if (!known.includes(pool)) throw new AccountError(`gpuIds: ${pool} is not a GPU pool. Pools: ${known.join(", ")}`);
  const offered = gpuTypes.filter(({ pool }) => pool !== null && chosen.includes(pool)).map(({ id }) => id);
  for (const type of excludedTypes)
    if (!offered.includes(type)) throw new AccountError(`gpuIds: ${type} is not a GPU type in ${chosen.join(", ")}`);
  if (gpuIds && offered.every((id) => excludedTypes.includes(id)))
    throw new AccountError("gpuIds: the selection leaves no GPU type");
}

/** A change of these endpoint fields replaces the workers. Changes of scaler, worker counts and timeouts do not. */
const rollingEndpointFields = [
  "gpuIds",
  "gpuCount",
  "instanceIds",
  "allowedCudaVersions",
  "minCudaVersion",
  "locations",
  "networkVolumeId",
  "networkVolumeIds",
  "flashBootType",
  "modelReferences",
] as const;

/** A change of these template fields replaces the workers of its endpoints. */
const rollingTemplateFields = [
  "imageName",
  "env",
  "dockerArgs",
  "containerDiskInGb",
  "ports",
  "containerRegistryAuthId",
] as const;

/** Changes of an endpoint that create a new version, with the field names of `GET …/releases`. */
export function endpointChanges(before: Endpoint, after: Endpoint): FieldChange[] {
  return changes(before, after, rollingEndpointFields, "");
}

/** Changes of a template that create a new version of its endpoints. */
export function templateChanges(before: Template, after: Template): FieldChange[] {
  return changes(before, after, rollingTemplateFields, "template.");
}

function changes<T>(before: T, after: T, fields: readonly (keyof T & string)[], prefix: string): FieldChange[] {
  return fields
    .map((field) => ({ field: prefix + field, old: before[field] ?? null, new: after[field] ?? null }))
    .filter((change) => comparable(change.old) !== comparable(change.new));
}

/** Converts a value to a text for comparisons. Ignores the order of array items, such as environment variables. */
function comparable(value: unknown): string {
  return JSON.stringify(Array.isArray(value) ? value.map((item) => JSON.stringify(item)).sort() : value);
}

function checkName(name: string, kind: string): void {
  if (name.length < 3 || name.length > 191) throw new AccountError(`${kind} name must have 3 to 191 characters`);
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) throw new AccountError(`${field} must be from ${min} to ${max}, got ${value}`);
}

import { GPU_POOLS } from "../../runpod/gpuPools";
import type { Endpoint, EndpointInput, Template, TemplateInput } from "./records";

/** A rule of the account was broken. The text reaches the caller, as RunPod's do. */
export class AccountError extends Error {
  override readonly name = "AccountError";
}

/** Rules of a template that need nothing but itself. */
export function checkTemplate(input: Omit<TemplateInput, "id">): void {
  checkName(input.name, "Template");
  if (!input.imageName) throw new AccountError("imageName is required");
  if (input.containerDiskInGb < 1) throw new AccountError("containerDiskInGb must be at least 1");
  if (input.isServerless && input.volumeInGb !== 0)
    throw new AccountError("volumeInGb must be 0 for a serverless template");
}

/** The same for an endpoint. */
export function checkEndpoint(input: Omit<EndpointInput, "id" | "template" | "templateId" | "bindEndpoint">): void {
  checkName(input.name, "Endpoint");
  if (input.type !== "QB") throw new AccountError(`type must be QB here, got ${input.type}`);
  if (!input.gpuIds && !input.instanceIds?.length) throw new AccountError("gpuIds is required");
  const pools: readonly string[] = GPU_POOLS;
  for (const gpu of input.gpuIds?.split(",").map((text) => text.trim()) ?? [])
    if (!gpu.startsWith("-") && !pools.includes(gpu))
      throw new AccountError(`gpuIds: ${gpu} is not a GPU pool. Pools: ${pools.join(", ")}`);
  checkRange("idleTimeout", input.idleTimeout, 1, 3600);
  checkRange("gpuCount", input.gpuCount, 1, 10);
  checkRange("workersMin", input.workersMin, 0, input.workersMax);
  checkRange("scalerValue", input.scalerValue, 1, 3600);
  if (input.scalerType !== "QUEUE_DELAY" && input.scalerType !== "REQUEST_COUNT")
    throw new AccountError("scalerType must be QUEUE_DELAY or REQUEST_COUNT");
  if (input.executionTimeoutMs !== 0) checkRange("executionTimeoutMs", input.executionTimeoutMs, 5_000, 604_800_000);
}

/** A registry credential has both parts. */
export function checkCredential(input: { username: string; password: string }): void {
  if (!input.username || !input.password) throw new AccountError("username and password are required");
}

/** Endpoint properties whose change starts a rolling release; the scaler, the worker counts and the timeouts do not. */
const rollingEndpointFields = [
  "templateId",
  "gpuIds",
  "gpuCount",
  "instanceIds",
  "allowedCudaVersions",
  "minCudaVersion",
  "locations",
  "networkVolumeId",
  "flashBootType",
  "modelReferences",
] as const;

/** The same for a template's. */
const rollingTemplateFields = [
  "imageName",
  "env",
  "dockerArgs",
  "containerDiskInGb",
  "ports",
  "containerRegistryAuthId",
] as const;

/** True when the change of an endpoint gives it a new version. */
export function endpointRolls(before: Endpoint, after: Endpoint): boolean {
  return differs(before, after, rollingEndpointFields);
}

/** True when the change of a template gives its endpoints a new version. */
export function templateRolls(before: Template, after: Template): boolean {
  return differs(before, after, rollingTemplateFields);
}

function differs<T>(before: T, after: T, fields: readonly (keyof T)[]): boolean {
  return fields.some((field) => JSON.stringify(before[field] ?? null) !== JSON.stringify(after[field] ?? null));
}

function checkName(name: string, what: string): void {
  if (name.length < 3 || name.length > 191) throw new AccountError(`${what} name must have 3 to 191 characters`);
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) throw new AccountError(`${field} must be from ${min} to ${max}, got ${value}`);
}

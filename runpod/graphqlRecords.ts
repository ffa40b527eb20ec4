import { z } from "zod";
import type {
  AccountRecord,
  EndpointRecord,
  EndpointSettings,
  RegistryAuthRecord,
  TemplateRecord,
  TemplateSettings,
} from "./client";
import { optionalText, orDefault, text } from "./nullable";

/** The fields of a template to ask for. */
export const TEMPLATE = "id name imageName dockerArgs containerDiskInGb containerRegistryAuthId env { key value }";
/** The fields of an endpoint to ask for. */
export const ENDPOINT =
  "id name templateId gpuIds gpuCount workersMin workersMax idleTimeout scalerType scalerValue executionTimeoutMs " +
  "flashBootType locations minCudaVersion modelReferences";
/** What RunPod shows of registry credentials. */
export const REGISTRY_AUTH = "id name";

/** A list that RunPod keeps as one text with commas. */
const commaList = z
  .string()
  .nullish()
  .transform((text) =>
    (text ?? "")
      .split(",")
      .map((item) => item.trim())
      .filter(Boolean),
  );

/** What of an account the API answers. */
export const accountRecord: z.ZodType<AccountRecord> = z
  .object({ clientBalance: z.number(), currentSpendPerHr: orDefault(z.number(), 0) })
  .transform((account) => ({
    balanceDollars: account.clientBalance,
    spendDollarsPerHour: account.currentSpendPerHr,
  }));

/** A template as the API answers it. */
export const templateRecord: z.ZodType<TemplateRecord> = z.object({
  id: z.string(),
  name: text,
  imageName: text,
  dockerArgs: text,
  containerDiskInGb: orDefault(z.number(), 0),
  containerRegistryAuthId: optionalText,
  env: z
    .array(z.object({ key: z.string(), value: text }))
    .nullish()
    .transform((pairs) => Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value]))),
});

/** Registry credentials as the API answers them. */
export const registryAuthRecord: z.ZodType<RegistryAuthRecord> = z.object({ id: z.string(), name: text });

/** An endpoint as the API answers it: whose it is, its template says. The defaults are the published schema's. */
export const endpointRecord: z.ZodType<Omit<EndpointRecord, "owner">> = z
  .object({
    id: z.string(),
    name: text,
    templateId: text,
    gpuIds: commaList,
    gpuCount: orDefault(z.number(), 1),
    workersMin: orDefault(z.number(), 0),
    workersMax: orDefault(z.number(), 3),
    idleTimeout: orDefault(z.number(), 10),
    scalerType: orDefault(z.string(), "QUEUE_DELAY"),
    scalerValue: orDefault(z.number(), 4),
    executionTimeoutMs: orDefault(z.number(), 0),
    flashBootType: orDefault(z.string(), "OFF"),
    locations: commaList,
    minCudaVersion: optionalText,
    modelReferences: orDefault(z.array(z.string()), []),
  })
  .transform(({ idleTimeout, ...rest }) => ({ ...rest, idleTimeoutSeconds: idleTimeout }));

/** A list of an account; the schema allows null for it and in it. */
export function listed<T>(record: z.ZodType<T>) {
  return z
    .array(record.nullable())
    .nullish()
    .transform((items) => (items ?? []).filter((item) => item !== null));
}

/** A template as the API takes it: the one with that id, or a new one. */
export function templateInput({ env, ...settings }: TemplateSettings, id?: string) {
  return {
    ...settings,
    ...(id !== undefined && { id }),
    env: Object.entries(env).map(([key, value]) => ({ key, value })),
    containerRegistryAuthId: settings.containerRegistryAuthId ?? null,
    isServerless: true,
    isPublic: false,
    // Serverless templates may not have a volume.
    volumeInGb: 0,
  };
}

/**
 * An endpoint as the API takes it: the one with that id, or a new one. RunPod resets what is left out to its own defaults,
 * so everything is sent, nulls included.
 */
export function endpointInput({ idleTimeoutSeconds, ...settings }: EndpointSettings, id?: string) {
  return {
    ...settings,
    ...(id !== undefined && { id }),
    idleTimeout: idleTimeoutSeconds,
    gpuIds: settings.gpuIds.join(","),
    locations: settings.locations.join(",") || null,
    minCudaVersion: settings.minCudaVersion ?? null,
    modelReferences: settings.modelReferences.length > 0 ? settings.modelReferences : null,
    type: "QB",
  };
}

import type { EndpointInput, EnvVar, InlineTemplate, TemplateInput } from "../account/records";
import { AccountError } from "../account/rules";

type Nullable<T> = { [K in keyof T]: T[K] | null };
type EnvArguments = { env: (EnvVar | null)[] };
type Flags = "isServerless" | "isPublic" | "startSsh" | "startJupyter";

/** `SaveTemplateInput` as a GraphQL argument. */
export type TemplateArguments = Omit<TemplateInput, Flags | "env" | "allowedCudaVersions"> &
  Partial<Nullable<Pick<TemplateInput, Flags>>> &
  EnvArguments;

type InlineArguments = Omit<InlineTemplate, Flags | "env" | "allowedCudaVersions" | "category"> &
  Partial<Nullable<Pick<InlineTemplate, "startSsh" | "startJupyter">>> &
  EnvArguments;

/** `EndpointInput` as a GraphQL argument. Every field except `name` may be `null`. */
export type EndpointArguments = Pick<EndpointInput, "name"> &
  Partial<Nullable<Omit<EndpointInput, "name" | "template" | "env">>> & {
    template?: InlineArguments | null;
    env?: (EnvVar | null)[] | null;
    cloudStorageConfig?: unknown;
    repo?: unknown;
    hubReleaseId?: string | null;
  };

/** Fields for features of RunPod that the double does not have. */
const unsupportedFields = ["repo", "hubReleaseId", "cloudStorageConfig"] as const;

/** Applies RunPod's defaults to a template. */
export function templateInput(args: TemplateArguments): TemplateInput {
  return {
    ...args,
    env: variables(args.env),
    isServerless: args.isServerless ?? false,
    isPublic: args.isPublic ?? false,
    startSsh: args.startSsh ?? false,
    startJupyter: args.startJupyter ?? false,
  };
}

/** Applies the defaults of RunPod's published schema to an endpoint. @throws AccountError for an unsupported field */
export function endpointInput(args: EndpointArguments): EndpointInput {
  for (const field of unsupportedFields)
    if (args[field]) throw new AccountError(`${field} is not supported by the local RunPod`);
  const { cloudStorageConfig, repo, hubReleaseId, template, env, ...rest } = args;
  return {
    ...rest,
    type: rest.type ?? "QB",
    gpuCount: rest.gpuCount ?? 1,
    idleTimeout: rest.idleTimeout ?? 10,
    scalerType: rest.scalerType ?? "QUEUE_DELAY",
    scalerValue: rest.scalerValue ?? 4,
    workersMin: rest.workersMin ?? 0,
    workersMax: rest.workersMax ?? 3,
    workersPFBTarget: rest.workersPFBTarget ?? 0,
    executionTimeoutMs: rest.executionTimeoutMs ?? 0,
    flashBootType: rest.flashBootType ?? "OFF",
    bindEndpoint: rest.bindEndpoint ?? true,
    ...(env && { env: variables(env) }),
    template: template
      ? {
          ...template,
          env: variables(template.env),
          startSsh: template.startSsh ?? false,
          startJupyter: template.startJupyter ?? false,
        }
      : null,
  };
}

/** Returns a copy of an object without the fields that are `null` or undefined. */
export function withoutNulls<T extends object>(input: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function variables(env: (EnvVar | null)[]): EnvVar[] {
  return env.filter((variable) => variable !== null);
}

import type { EndpointInput, EnvVar, InlineTemplate, TemplateInput } from "../account/records";
import { AccountError } from "../account/rules";

type Nullable<T> = { [K in keyof T]: T[K] | null };
type EnvArguments = { env: (EnvVar | null)[] };
type Flags = "isServerless" | "isPublic" | "startSsh" | "startJupyter";

/** `SaveTemplateInput` as GraphQL hands it over. */
export type TemplateArguments = Omit<TemplateInput, Flags | "env" | "allowedCudaVersions"> &
  Partial<Nullable<Pick<TemplateInput, Flags>>> &
  EnvArguments;

type InlineArguments = Omit<InlineTemplate, Flags | "env" | "allowedCudaVersions" | "category"> &
  Partial<Nullable<Pick<InlineTemplate, "startSsh" | "startJupyter">>> &
  EnvArguments;

/** `EndpointInput` as GraphQL hands it over: everything but the name may be null. */
export type EndpointArguments = Pick<EndpointInput, "name"> &
  Partial<Nullable<Omit<EndpointInput, "name" | "template" | "env">>> & {
    template?: InlineArguments | null;
    env?: (EnvVar | null)[] | null;
    cloudStorageConfig?: unknown;
    repo?: unknown;
    hubReleaseId?: string | null;
  };

/** Ways to make an endpoint that need more of RunPod than there is here. */
const notHere = ["repo", "hubReleaseId", "cloudStorageConfig"] as const;

/** Fills in what RunPod takes for null or nothing. */
export function templateInput(given: TemplateArguments): TemplateInput {
  return {
    ...given,
    env: variables(given.env),
    isServerless: given.isServerless ?? false,
    isPublic: given.isPublic ?? false,
    startSsh: given.startSsh ?? false,
    startJupyter: given.startJupyter ?? false,
  };
}

/** The same for an endpoint; the defaults are those of RunPod's published schema. */
export function endpointInput(given: EndpointArguments): EndpointInput {
  for (const field of notHere) if (given[field]) throw new AccountError(`${field} is not part of the local RunPod`);
  const { cloudStorageConfig, repo, hubReleaseId, template, env, ...rest } = given;
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

/** Leaves out what is null. */
export function given<T extends object>(input: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function variables(env: (EnvVar | null)[]): EnvVar[] {
  return env.filter((one) => one !== null);
}

import type { RunpodAccount } from "../account/account";
import { dataCenters, gpuTypes, pools } from "../account/catalog";
import { AccountError } from "../account/rules";
import type { Switches } from "../account/switches";
import { type EndpointArguments, endpointInput, type TemplateArguments, templateInput, withoutNulls } from "./inputs";
import { dataCenterView, endpointView, gpuTypeView } from "./views";

/** Dependencies of the resolvers. */
export interface ResolverOptions {
  account: RunpodAccount;
  /** Returns the ids of an endpoint's workers, for `Endpoint.pods`. */
  workerIds(endpointId: string): string[];
  /** Called after each mutation. */
  changed(): void;
  switches: Switches;
}

/** Kind of a request's key. `restricted`: for the job API of some endpoints only. `anonymous`: no key. */
export type Caller = "account" | "read-only" | "restricted" | "anonymous";

type Resolver<A extends unknown[], R> = (...args: A) => R;
/** Returns a resolver that first checks the caller's rights. */
type Guard = <A extends unknown[], R>(resolve: Resolver<A, R>) => Resolver<A, R>;

/**
 * Root value of a request: the resolvers of all queries and mutations. They throw AccountError for a caller without
 * rights.
 */
export function resolvers(options: ResolverOptions, caller: Caller) {
  const mutation: Guard =
    (resolve) =>
    (...args) => {
      if (caller !== "account") throw new AccountError("Unauthorized");
      const result = resolve(...args);
      options.changed();
      return result;
    };
  return {
    ...queries(options, caller),
    ...templateMutations(options, mutation),
    ...endpointMutations(options, mutation),
    ...registryMutations(options, mutation),
    ...volumeMutations(options, mutation),
    ...secretMutations(options, mutation),
  };
}

function queries(options: ResolverOptions, caller: Caller) {
  const { account, switches } = options;
  const query: Guard =
    (resolve) =>
    (...args) => {
      if (caller !== "account" && caller !== "read-only") throw new AccountError("Unauthorized");
      return resolve(...args);
    };
  return {
    myself: () => (caller === "anonymous" ? null : query(() => userView(options))()),
    podTemplate: query(({ id }: { id: string }) => account.template(id) ?? null),
    // The double does not have RunPod's public templates.
    podTemplates: query(({ input }: { input?: { isRunpod?: boolean } }) =>
      input?.isRunpod ? [] : account.listed.templates,
    ),
    gpuTypes: query(({ input }: { input?: { id?: string; ids?: string[] } }) =>
      gpuTypes
        .filter(({ id }) => (input?.id ?? id) === id && (input?.ids ?? [id]).includes(id))
        .map((type) => gpuTypeView(type, switches)),
    ),
    dataCenters: query(() => dataCenters.map((dataCenter) => dataCenterView(dataCenter, switches))),
    serverlessGpuPools: query(() => pools.map(({ id, gpus }) => ({ id, gpuTypeIds: gpus.map(([gpu]) => gpu) }))),
  };
}

function userView({ account, workerIds }: ResolverOptions) {
  return {
    id: account.userId,
    email: "operator@localhost",
    clientBalance: 100,
    currentSpendPerHr: 0,
    spendLimit: 80,
    maxServerlessConcurrency: account.workersQuota,
    serverlessDiscount: null,
    endpoints: () => account.listed.endpoints.map((endpoint) => endpointView(account, endpoint, workerIds)),
    endpoint: ({ id }: { id: string }) => {
      const endpoint = account.endpoint(id);
      return endpoint ? endpointView(account, endpoint, workerIds) : null;
    },
    podTemplates: () => account.listed.templates,
    containerRegistryCreds: () => account.listed.registryAuths,
    networkVolumes: () => account.networkVolumes.all,
    secrets: () => account.listed.secrets,
  };
}

function templateMutations({ account }: ResolverOptions, mutation: Guard) {
  return {
    saveTemplate: mutation(({ input }: { input?: TemplateArguments }) =>
      account.saveTemplate(templateInput(required(input))),
    ),
    deleteTemplate: mutation(({ templateName }: { templateName?: string }) => {
      account.deleteTemplateNamed(templateName ?? "");
      return null;
    }),
  };
}

function endpointMutations({ account, workerIds }: ResolverOptions, mutation: Guard) {
  return {
    saveEndpoint: mutation(({ input }: { input: EndpointArguments }) =>
      endpointView(account, account.saveEndpoint(endpointInput(input)), workerIds),
    ),
    updateEndpointTemplate: mutation(({ input }: { input?: { endpointId: string; templateId: string } }) => {
      const { endpointId, templateId } = required(input);
      return endpointView(account, account.updateEndpointTemplate(endpointId, templateId), workerIds);
    }),
    deleteEndpoint: mutation(({ id }: { id: string }) => {
      account.deleteEndpoint(id);
      return null;
    }),
  };
}

type Credential = { name: string; username: string; password: string };

function registryMutations({ account }: ResolverOptions, mutation: Guard) {
  return {
    saveRegistryAuth: mutation(({ input }: { input?: Credential }) => account.registries.create(required(input))),
    updateRegistryAuth: mutation(({ input }: { input?: Omit<Credential, "name"> & { id: string } }) =>
      account.registries.update(required(input)),
    ),
    deleteRegistryAuth: mutation(({ registryAuthId }: { registryAuthId?: string }) => {
      account.deleteRegistryAuth(registryAuthId ?? "");
      return null;
    }),
  };
}

type VolumeArguments = { [field in "id" | "name" | "dataCenterId"]?: string | null } & { size?: number | null };

function volumeMutations({ account }: ResolverOptions, mutation: Guard) {
  const save = ({ input }: { input: VolumeArguments }) => account.networkVolumes.save(withoutNulls(input));
  return {
    createNetworkVolume: mutation(save),
    updateNetworkVolume: mutation(save),
    deleteNetworkVolume: mutation(({ input }: { input: { id: string } }) => {
      account.deleteNetworkVolume(input.id);
      return null;
    }),
  };
}

function secretMutations({ account: { secrets } }: ResolverOptions, mutation: Guard) {
  return {
    secretCreate: mutation(({ input }: { input: { name: string; value: string; description?: string | null } }) =>
      secrets.create({ ...input, description: input.description ?? null }),
    ),
    secretValueUpdate: mutation(({ input: { id, value } }: { input: { id: string; value: string } }) =>
      secrets.update(id, { value }),
    ),
    secretDescriptionUpdate: mutation(({ input }: { input: { id: string; description: string } }) =>
      secrets.update(input.id, { description: input.description }),
    ),
    secretDelete: mutation(({ id }: { id: string }) => {
      secrets.remove(id);
      return null;
    }),
  };
}

function required<T>(input: T | null | undefined): T {
  if (!input) throw new AccountError("input is required");
  return input;
}

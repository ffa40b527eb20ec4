import type { RunpodAccount } from "../account/account";
import type { Endpoint, NetworkVolume, Secret, Template } from "../account/records";
import { hasNoCapacity, type Switches } from "../account/switches";
import type { Pods } from "../pods/pods";
import type { Fleet } from "../workers/fleet";
import { serverlessBilling } from "./billing";
import { cpuTypes, dataCenterById, dataCenterViews, gpuTypeById, gpuTypeViews } from "./catalog";
import { endpointFromCreate, endpointFromUpdate, endpointView } from "./endpointFields";
import { pageOf } from "./page";
import { podRoutes } from "./podRoutes";
import { RestProblem } from "./problem";
import {
  CreateDelegation,
  CreateEndpoint,
  CreateRegistry,
  CreateSecret,
  CreateTemplate,
  CreateVolume,
  UpdateEndpoint,
  UpdateRegistry,
  UpdateSecret,
  UpdateTemplate,
  UpdateVolume,
} from "./requestBodies";
import { bodyRoute, type RestRoute, route } from "./route";
import { templateFromCreate, templateFromUpdate, templateView } from "./templateFields";
import { workerLog } from "./workerLog";
import { releasesView, workersView } from "./workerViews";

/** Data that the routes read and change. */
export interface RestContext {
  account: RunpodAccount;
  pods: Pods;
  switches: Switches;
  /** Default number of entries per page of a list. */
  pageSize: number;
  /** URL of the job API, with `/v2`. */
  jobApiUrl: string;
  /** Returns an endpoint's workers, or undefined for an unknown endpoint. */
  fleet(endpointId: string): Fleet | undefined;
  /** Called after each change that affects workers. */
  changed(): void;
}

/** Routes of REST v2 (RunPod's OpenAPI document, August 2026). */
export function restRoutes(context: RestContext): RestRoute[] {
  return [
    ...endpointRoutes(context),
    ...workerRoutes(context),
    ...templateRoutes(context),
    ...registryRoutes(context),
    ...secretRoutes(context),
    ...volumeRoutes(context),
    ...podRoutes({ ...context, logLines: () => context.switches.podLogLines }),
    ...catalogRoutes(context),
    billingRoute(context),
    ...accountRoutes(context),
  ];
}

function endpointRoutes({ account, switches, jobApiUrl, changed, pageSize }: RestContext): RestRoute[] {
  const endpointOf = (id: string): Endpoint => found(account.endpoint(id), "endpoint");
  const templateOf = (id: string): Template => found(account.template(id), "template");
  const sourceTemplate = (id: string | undefined): Template | undefined => {
    if (id === undefined) return undefined;
    const template = templateOf(id);
    if (!template.isServerless) throw new RestProblem(422, `template ${id} is not a serverless template`);
    return template;
  };
  const view = (endpoint: Endpoint) =>
    endpointView(endpoint, found(account.listedTemplate(endpoint.templateId), "template"), jobApiUrl);
  return [
    route("GET /serverless", "List serverless endpoints", ({ query }) =>
      pageOf("endpoints", account.listed.endpoints.map(view), query, pageSize),
    ),
    bodyRoute("POST /serverless", "Create a serverless endpoint", CreateEndpoint, (_, body) => {
      const input = endpointFromCreate(body, sourceTemplate(body.templateId));
      if (hasNoCapacity(switches, input))
        throw new RestProblem(400, "There are no longer any instances available with the requested specifications.");
      const created = view(account.saveEndpoint(input, true));
      changed();
      return created;
    }),
    route("GET /serverless/{id}", "Get a serverless endpoint", ({ id }) => view(endpointOf(id))),
    bodyRoute("PATCH /serverless/{id}", "Update a serverless endpoint", UpdateEndpoint, ({ id }, body) => {
      const endpoint = endpointOf(id);
      const input = endpointFromUpdate(
        endpoint,
        templateOf(endpoint.templateId),
        body,
        sourceTemplate(body.templateId),
      );
      const updated = view(account.saveEndpoint(input, true));
      changed();
      return updated;
    }),
    route("DELETE /serverless/{id}", "Delete a serverless endpoint", ({ id }) => {
      endpointOf(id);
      account.deleteEndpointWithTemplate(id);
      changed();
    }),
  ];
}

function workerRoutes({ account, fleet }: RestContext): RestRoute[] {
  const endpointOf = (id: string): Endpoint => found(account.endpoint(id), "endpoint");
  const fleetOf = (id: string): Fleet => found(fleet(id), "endpoint");
  return [
    route("GET /serverless/{id}/workers", "List serverless endpoint workers", ({ id }) =>
      workersView(endpointOf(id), fleetOf(id)),
    ),
    route("GET /serverless/{id}/releases", "List serverless endpoint releases", ({ id }) =>
      releasesView(endpointOf(id), account.releases(id), fleetOf(id)),
    ),
    route("GET /serverless/{id}/workers/{workerId}/logs", "Stream a worker's logs", (call) => {
      const workers = fleetOf(call.id);
      const readLines = () => workers.list().find(({ id }) => id === call.workerId)?.log;
      found(readLines(), "worker");
      return workerLog(readLines, call);
    }),
  ];
}

function templateRoutes({ account, changed, pageSize }: RestContext): RestRoute[] {
  const templateOf = (id: string): Template => found(account.template(id), "template");
  return [
    // Lists the templates of endpoints too, because RunPod's document says "all templates".
    route("GET /templates", "List templates", ({ query }) =>
      pageOf("templates", account.listed.templates.map(templateView), query, pageSize),
    ),
    bodyRoute("POST /templates", "Create a template", CreateTemplate, (_, body) => {
      const created = templateView(account.saveTemplate(templateFromCreate(body)));
      changed();
      return created;
    }),
    route("GET /templates/{id}", "Get a template", ({ id }) => templateView(templateOf(id))),
    bodyRoute("PATCH /templates/{id}", "Update a template", UpdateTemplate, ({ id }, body) => {
      const updated = templateView(account.saveTemplate(templateFromUpdate(templateOf(id), body)));
      changed();
      return updated;
    }),
    route("DELETE /templates/{id}", "Delete a template", ({ id }) => account.deleteTemplate(id)),
  ];
}

function registryRoutes({ account, changed, pageSize }: RestContext): RestRoute[] {
  const view = ({ id, name }: { id: string; name: string }) => ({ id, name });
  return [
    // Comes first, because `/registries/{id}` would match `delegations` as an id.
    route("GET /registries/delegations", "List all ECR delegations", ({ query }) =>
      pageOf("delegations", account.registries.delegations, query, pageSize),
    ),
    bodyRoute("POST /registries/delegations", "Register an ECR delegation", CreateDelegation, (_, body) => {
      const delegation = account.registries.delegate(body.resource, body.name ?? null);
      changed();
      return delegation;
    }),
    route("DELETE /registries/delegations/{id}", "Revoke an ECR delegation", ({ id }) => account.registries.revoke(id)),
    route("GET /registries", "List container registries", () => ({
      registries: account.listed.registryAuths.map(view),
    })),
    bodyRoute("POST /registries", "Create a container registry credential", CreateRegistry, (_, body) => {
      const created = view(account.registries.create(body));
      changed();
      return created;
    }),
    route("GET /registries/{id}", "Get a container registry credential", ({ id }) =>
      view(found(account.registries.find(id), "registry")),
    ),
    bodyRoute("PATCH /registries/{id}", "Update a container registry credential", UpdateRegistry, ({ id }, body) => {
      const updated = view(account.registries.update({ ...body, id }));
      changed();
      return updated;
    }),
    route("DELETE /registries/{id}", "Delete a container registry credential", ({ id }) =>
      account.deleteRegistryAuth(id),
    ),
  ];
}

/** Secrets of the account (RunPod's API reference, September 2026). Their values are never returned. */
function secretRoutes({ account }: RestContext): RestRoute[] {
  const { secrets } = account;
  const view = ({ id, name, description, createdAt, valueLastUpdatedAt }: Secret) => {
    return { id, name, description, createdAt, valueLastUpdatedAt };
  };
  return [
    route("GET /account/secrets", "List secrets", ({ query }) => {
      const name = query.get("name")?.toLowerCase();
      const found = account.listed.secrets.filter((each) => name === undefined || each.name.toLowerCase() === name);
      return { secrets: found.map(view) };
    }),
    bodyRoute("POST /account/secrets", "Create a secret", CreateSecret, (_, { name, value, description = null }) =>
      view(secrets.create({ name, value, description })),
    ),
    route("GET /account/secrets/{id}", "Get a secret", ({ id }) => view(found(secrets.find(id), "secret"))),
    // A running worker keeps the old value, so this route does not call `changed`.
    bodyRoute("PATCH /account/secrets/{id}", "Update a secret", UpdateSecret, ({ id }, { value, description }) =>
      view(
        secrets.update(id, {
          ...(value !== undefined && { value }),
          ...(description !== undefined && { description: description || null }),
        }),
      ),
    ),
    route("DELETE /account/secrets/{id}", "Delete a secret", ({ id }) => secrets.remove(id)),
  ];
}

function volumeRoutes({ account }: RestContext): RestRoute[] {
  const view = ({ dataCenterId, ...volume }: NetworkVolume) => ({
    ...volume,
    dataCenter: dataCenterId,
    type: "STANDARD",
  });
  return [
    route("GET /network-volumes", "List network volumes", () => ({
      networkVolumes: account.networkVolumes.all.map(view),
    })),
    bodyRoute("POST /network-volumes", "Create a network volume", CreateVolume, (_, { name, size, dataCenter }) =>
      view(account.networkVolumes.save({ name, size, dataCenterId: dataCenter })),
    ),
    route("GET /network-volumes/{id}", "Get a network volume", ({ id }) => view(account.networkVolumes.require(id))),
    bodyRoute("PATCH /network-volumes/{id}", "Update a network volume", UpdateVolume, ({ id }, { name, size }) =>
      view(
        account.networkVolumes.save({ id, ...(name !== undefined && { name }), ...(size !== undefined && { size }) }),
      ),
    ),
    route("DELETE /network-volumes/{id}", "Delete a network volume", ({ id }) => account.deleteNetworkVolume(id)),
  ];
}

function catalogRoutes({ switches }: RestContext): RestRoute[] {
  return [
    route("GET /catalog/gpus", "List GPU types", ({ query }) => ({ gpus: gpuTypeViews(query, switches) })),
    route("GET /catalog/gpus/{id}", "Get a GPU type", ({ id, query }) =>
      found(gpuTypeById(id, query, switches), "gpu type"),
    ),
    route("GET /catalog/cpus", "List CPU types", () => ({ cpus: cpuTypes })),
    route("GET /catalog/cpus/{id}", "Get a CPU type", ({ id: wanted }) =>
      found(
        cpuTypes.find(({ id }) => id === wanted),
        "cpu type",
      ),
    ),
    route("GET /catalog/datacenters", "List data centers", ({ query }) => ({
      dataCenters: dataCenterViews(query, switches),
    })),
    route("GET /catalog/datacenters/{id}", "Get a data center", ({ id, query }) =>
      found(dataCenterById(id, query, switches), "data center"),
    ),
    // The double has no public templates of RunPod or of other users.
    route("GET /catalog/templates", "List public templates", () => ({ templates: [] })),
  ];
}

function billingRoute({ account, fleet, switches }: RestContext): RestRoute {
  return route("GET /billing/serverless", "Get serverless billing history", ({ query }) =>
    serverlessBilling(
      query,
      account.endpoints.map((endpoint) => ({ endpoint, uptimeMs: fleet(endpoint.id)?.uptimeMs() ?? 0 })),
      switches.hourlyUsd,
    ),
  );
}

/** The paths and the fields of `serverlessWorkers` are assumptions: no public source contains them. */
function accountRoutes({ account }: RestContext): RestRoute[] {
  return [
    route("GET /account/limits", "Get account limits", () => ({
      spendRate: { limit: 80 },
      serverlessWorkers: {
        limit: account.workersQuota,
        used: account.endpoints.reduce((sum, { workersMax }) => sum + workersMax, 0),
      },
    })),
    route("GET /billing/balance", "Get the account balance", () => ({ balanceAmount: 100, billingMode: "PREPAID" })),
  ];
}

/** @throws RestProblem 404 when the resource is undefined */
function found<T>(resource: T | undefined, kind: string): T {
  if (resource === undefined) throw new RestProblem(404, `${kind} not found`);
  return resource;
}

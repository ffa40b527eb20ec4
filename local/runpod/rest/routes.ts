import type { RunpodAccount } from "../account/account";
import type { Endpoint, NetworkVolume, Template } from "../account/records";
import { isFull, type Switches } from "../account/switches";
import type { Fleet } from "../workers/workers";
import { serverlessBilling } from "./billing";
import {
  CreateDelegation,
  CreateEndpoint,
  CreateRegistry,
  CreateTemplate,
  CreateVolume,
  UpdateEndpoint,
  UpdateTemplate,
  UpdateVolume,
} from "./bodies";
import { cpuTypes, dataCenter, dataCenterViews, gpuType, gpuTypeViews } from "./catalog";
import { createdEndpoint, endpointView, updatedEndpoint } from "./endpointFields";
import { RestProblem } from "./problem";
import { bodyRoute, type RestRoute, route } from "./route";
import { createdTemplate, templateView, updatedTemplate } from "./templateFields";
import { workerLog } from "./workerLog";
import { releasesView, workersView } from "./workerViews";

/** What the calls work on. */
export interface RestWorld {
  account: RunpodAccount;
  switches: Switches;
  /** Where the job API is, with `/v2`. */
  jobApiUrl: string;
  /** An endpoint's workers; undefined for one that does not exist. */
  fleet(endpointId: string): Fleet | undefined;
  /** Called after each change. */
  changed(): void;
}

/** The calls of REST v2 that serverless endpoints need (RunPod's own OpenAPI document, Aug 2026). */
export function restRoutes({ account, switches, jobApiUrl, fleet, changed }: RestWorld): RestRoute[] {
  const found = <T>(thing: T | undefined, what: string): T => {
    if (thing === undefined) throw new RestProblem(404, `${what} not found`);
    return thing;
  };
  const endpointOf = (id: string): Endpoint => found(account.endpoint(id), "endpoint");
  const fleetOf = (id: string): Fleet => found(fleet(id), "endpoint");
  const templateOf = (id: string): Template => found(account.template(id), "template");
  const sourceOf = (id: string | undefined): Template | undefined => {
    if (id === undefined) return undefined;
    const template = templateOf(id);
    if (!template.isServerless) throw new RestProblem(422, `template ${id} is not a serverless template`);
    return template;
  };
  const view = (endpoint: Endpoint) => endpointView(endpoint, templateOf(endpoint.templateId), jobApiUrl);
  const publicRegistry = ({ id, name }: { id: string; name: string }) => ({ id, name });
  const volumeView = ({ dataCenterId, ...volume }: NetworkVolume) => ({
    ...volume,
    dataCenter: dataCenterId,
    type: "STANDARD",
  });
  /** Lets the workers follow the account. */
  const after = <T>(result: T): T => {
    changed();
    return result;
  };

  return [
    route("GET /serverless", "List serverless endpoints", () => ({ endpoints: account.endpoints.map(view) })),
    bodyRoute("POST /serverless", "Create a serverless endpoint", CreateEndpoint, (_, body) => {
      const input = createdEndpoint(body, sourceOf(body.templateId));
      if (isFull(switches, input))
        throw new RestProblem(400, "There are no longer any instances available with the requested specifications.");
      return after(view(account.saveEndpoint(input, true)));
    }),
    route("GET /serverless/{id}", "Get a serverless endpoint", ({ id }) => view(endpointOf(id))),
    bodyRoute("PATCH /serverless/{id}", "Update a serverless endpoint", UpdateEndpoint, ({ id }, body) => {
      const endpoint = endpointOf(id);
      const input = updatedEndpoint(endpoint, templateOf(endpoint.templateId), body, sourceOf(body.templateId));
      return after(view(account.saveEndpoint(input, true)));
    }),
    route("DELETE /serverless/{id}", "Delete a serverless endpoint", ({ id }) => {
      endpointOf(id);
      after(account.deleteEndpointWithTemplate(id));
    }),
    route("GET /serverless/{id}/workers", "List serverless endpoint workers", ({ id }) =>
      workersView(endpointOf(id), fleetOf(id)),
    ),
    route("GET /serverless/{id}/releases", "List serverless endpoint releases", ({ id }) =>
      releasesView(endpointOf(id), account.releases(id), fleetOf(id)),
    ),
    route("GET /serverless/{id}/workers/{workerId}/logs", "Stream a worker's logs", (call) => {
      const workers = fleetOf(call.id);
      const log = () => workers.list().find(({ id }) => id === call.worker)?.log;
      found(log(), "worker");
      return workerLog(log, call);
    }),

    // All of them, says the document: also those that belong to an endpoint.
    route("GET /templates", "List templates", () => ({ templates: account.templates.map(templateView) })),
    bodyRoute("POST /templates", "Create a template", CreateTemplate, (_, body) =>
      after(templateView(account.saveTemplate(createdTemplate(body)))),
    ),
    route("GET /templates/{id}", "Get a template", ({ id }) => templateView(templateOf(id))),
    bodyRoute("PATCH /templates/{id}", "Update a template", UpdateTemplate, ({ id }, body) =>
      after(templateView(account.saveTemplate(updatedTemplate(templateOf(id), body)))),
    ),
    route("DELETE /templates/{id}", "Delete a template", ({ id }) => account.deleteTemplate(id)),

    // Before the calls that take any id in its place.
    route("GET /registries/delegations", "List all ECR delegations", () => ({
      delegations: account.registries.delegations,
    })),
    bodyRoute("POST /registries/delegations", "Register an ECR delegation", CreateDelegation, (_, body) =>
      after(account.registries.delegate(body.resource, body.name ?? null)),
    ),
    route("DELETE /registries/delegations/{id}", "Revoke an ECR delegation", ({ id }) => account.registries.revoke(id)),
    route("GET /registries", "List container registries", () => ({
      registries: account.registryAuths.map(publicRegistry),
    })),
    bodyRoute("POST /registries", "Create a container registry credential", CreateRegistry, (_, body) =>
      after(publicRegistry(account.registries.create(body))),
    ),
    route("GET /registries/{id}", "Get a container registry credential", ({ id }) =>
      publicRegistry(found(account.registries.find(id), "registry")),
    ),
    route("DELETE /registries/{id}", "Delete a container registry credential", ({ id }) =>
      account.deleteRegistryAuth(id),
    ),

    route("GET /network-volumes", "List network volumes", () => ({
      networkVolumes: account.networkVolumes.all.map(volumeView),
    })),
    bodyRoute("POST /network-volumes", "Create a network volume", CreateVolume, (_, { name, size, dataCenter }) =>
      volumeView(account.networkVolumes.save({ name, size, dataCenterId: dataCenter })),
    ),
    route("GET /network-volumes/{id}", "Get a network volume", ({ id }) =>
      volumeView(account.networkVolumes.require(id)),
    ),
    bodyRoute("PATCH /network-volumes/{id}", "Update a network volume", UpdateVolume, ({ id }, { name, size }) =>
      volumeView(
        account.networkVolumes.save({ id, ...(name !== undefined && { name }), ...(size !== undefined && { size }) }),
      ),
    ),
    route("DELETE /network-volumes/{id}", "Delete a network volume", ({ id }) => account.deleteNetworkVolume(id)),

    route("GET /catalog/gpus", "List GPU types", ({ query }) => ({ gpus: gpuTypeViews(query, switches) })),
    route("GET /catalog/gpus/{id}", "Get a GPU type", ({ id, query }) =>
      found(gpuType(id, query, switches), "gpu type"),
    ),
    route("GET /catalog/cpus", "List CPU types", () => ({ cpus: cpuTypes })),
    route("GET /catalog/cpus/{id}", "Get a CPU type", ({ id }) =>
      found(
        cpuTypes.find((one) => one.id === id),
        "cpu type",
      ),
    ),
    route("GET /catalog/datacenters", "List data centers", ({ query }) => ({
      dataCenters: dataCenterViews(query, switches),
    })),
    route("GET /catalog/datacenters/{id}", "Get a data center", ({ id, query }) =>
      found(dataCenter(id, query, switches), "data center"),
    ),
    // RunPod's own and other people's templates are not part of an account.
    route("GET /catalog/templates", "List public templates", () => ({ templates: [] })),
    route("GET /billing/serverless", "Get serverless billing history", ({ query }) =>
      serverlessBilling(
        query,
        account.endpoints.map((endpoint) => ({ endpoint, upMs: fleet(endpoint.id)?.upMs() ?? 0 })),
      ),
    ),
  ];
}

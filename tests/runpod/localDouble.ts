import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Template } from "../../local/runpod/account/records";
import { type RunpodOptions, startRunpod } from "../../local/runpod/server";
import { idleWorker } from "../../local/runpod/workers/worker";
import { Events } from "../../local/support/events";
import type { FakeRunpod, Operation } from "./fakeRunpod";
import { emptyWorkerStates } from "./workerRoutes";

export const API_KEY = "rpa_CANARY_KEY";

/** Names of the operations in the double's fault patterns, for each API. */
const names: Record<Operation, { graphql: string; rest: string }> = {
  saveTemplate: { graphql: "saveTemplate", rest: "P* /v2/templates*" },
  deleteTemplate: { graphql: "deleteTemplate", rest: "DELETE /v2/templates/*" },
  saveEndpoint: { graphql: "saveEndpoint", rest: "P* /v2/serverless*" },
  deleteEndpoint: { graphql: "deleteEndpoint", rest: "DELETE /v2/serverless/*" },
  createRegistryAuth: { graphql: "saveRegistryAuth", rest: "POST /v2/registries" },
  updateRegistryAuth: { graphql: "updateRegistryAuth", rest: "PATCH /v2/registries/*" },
  deleteRegistryAuth: { graphql: "deleteRegistryAuth", rest: "DELETE /v2/registries/*" },
  list: { graphql: "myself", rest: "GET *" },
};

/** Options of a RunPod double whose workers take no jobs, with the key `API_KEY`. */
export function idleDouble(dir: string): RunpodOptions {
  return {
    port: 0,
    dir,
    keys: [{ key: API_KEY, scope: "account" }],
    engineUrl: "http://127.0.0.1:9/v1",
    python: undefined,
    resolveImage: () => ({ version: "1" }),
    events: new Events(),
    workersQuota: 20,
    startWorker: idleWorker,
  };
}

/** The RunPod double of `npm start` as a fake, so that the same tests check the fakes and the double. */
export async function startLocalDouble(api: "graphql" | "rest"): Promise<FakeRunpod> {
  const dir = await mkdtemp(join(tmpdir(), "snack-runpod-double-"));
  const runpod = await startRunpod(idleDouble(dir));
  const { account, switches } = runpod;
  const container = ({ imageName, env, containerDiskInGb, containerRegistryAuthId }: Template) => ({
    image: String(imageName),
    env: Object.fromEntries(env.map(({ key, value }) => [key, value])),
    diskGb: containerDiskInGb,
    registryId: containerRegistryAuthId ?? undefined,
  });
  const required = <T>(item: T | undefined): T => {
    if (item === undefined) throw new Error("The double does not have this resource.");
    return item;
  };
  // The double stores only hashes of passwords. The snapshot compares them with the hashes of these passwords.
  const passwords = ["canary-registry-password", "canary-earlier-password"];
  const hash = (id: string, text: string) => createHash("sha256").update(`${id}:${text}`).digest("hex");
  const unsupported = () => {
    throw new Error("The RunPod double does not support this method or fault.");
  };

  return {
    url: runpod.url,
    apiKey: API_KEY,
    snapshot: () => ({
      // REST creates a copy of the template for each endpoint. The copy is not one of the stack's templates.
      templates: account.templates
        .filter(({ name }) => !name.includes("__template__"))
        .map((template) => ({ id: template.id, name: template.name, ...container(template) })),
      endpoints: account.endpoints.map((endpoint) => ({
        id: endpoint.id,
        name: endpoint.name,
        workersMin: endpoint.workersMin,
        workersMax: endpoint.workersMax,
        gpus: (endpoint.gpuIds ?? "").split(","),
        ...container(required(account.template(endpoint.templateId))),
      })),
      registryAuths: account.registryAuths.map(({ id, name, username, passwordHash }) => ({
        id,
        name,
        username,
        password: passwords.find((password) => hash(id, password) === passwordHash) ?? "another",
      })),
    }),
    calls: [],
    count: unsupported,
    failNext(operation, fault) {
      const answer = typeof fault === "object" && "status" in fault ? fault.status : "cut";
      if (typeof fault === "object" && "message" in fault) unsupported();
      switches.faults.push({
        on: names[operation][api],
        times: 1,
        skip: 0,
        delayMs: 0,
        answer,
        done: fault === "lost answer",
      });
    },
    keepInUse: () => {},
    setWorkersMax(id, workersMax) {
      required(account.endpoint(id)).workersMax = workersMax;
    },
    workers: emptyWorkerStates(),
    reset() {
      switches.faults = [];
      for (const endpoint of account.endpoints) {
        Object.assign(endpoint, { workersMin: 0, workersMax: 0 });
        account.deleteEndpoint(endpoint.id);
      }
      for (const { id } of account.templates) account.deleteTemplate(id);
      for (const { id } of account.registryAuths) account.deleteRegistryAuth(id);
    },
    async close() {
      await runpod.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type RunpodDouble, startRunpod } from "../../../local/runpod/server";
import { idleWorker } from "../../../local/runpod/workers/worker";
import { Events } from "../../../local/support/events";

/** API key of every account. */
export const API_KEY = "chaos-account-key";

/** Name of a template and an endpoint of another owner. The stack must not touch them. */
export const FOREIGN = "other-owner";

/** A RunPod double at a fixed URL that can be restarted with a fresh account. */
export interface Accounts {
  url: string;
  /** Replaces the account with a fresh one, which contains only a template and an endpoint of another owner. */
  next(): Promise<RunpodDouble>;
  close(): Promise<void>;
}

/** @param dir folder for the data of the accounts */
export async function openAccounts(dir: string): Promise<Accounts> {
  const unlimited = Number.MAX_SAFE_INTEGER;
  const open = async (port: number) => {
    const folder = join(dir, "runpod");
    await rm(folder, { recursive: true, force: true });
    return startRunpod({
      port,
      dir: folder,
      keys: [{ key: API_KEY, scope: "account" }],
      engineUrl: "http://127.0.0.1:9/v1",
      python: undefined,
      resolveImage: () => ({ version: "1" }),
      events: new Events(),
      startWorker: idleWorker,
      workersQuota: 20,
      templateHoldMs: 30,
      restQuota: { minute: unlimited, hour: unlimited, day: unlimited },
    });
  };
  let current = await open(0);
  const { port, url } = current;
  return {
    url,
    async next() {
      await current.close();
      current = await open(port);
      await addForeign(current.graphqlUrl);
      return current;
    },
    close: () => current.close(),
  };
}

async function addForeign(graphqlUrl: string): Promise<void> {
  const query = `mutation {
    saveEndpoint(input: {
      name: "${FOREIGN}", gpuIds: "AMPERE_16", workersMax: 1,
      template: { name: "${FOREIGN}", imageName: "registry.example/other:1", containerDiskInGb: 20, dockerArgs: "", env: [] }
    }) { id }
  }`;
  const response = await fetch(graphqlUrl, {
    method: "POST",
    headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ query }),
    signal: AbortSignal.timeout(10_000),
  });
  const { errors } = (await response.json()) as { errors?: unknown };
  if (errors) throw new Error(`The RunPod double rejected the endpoint of another owner: ${JSON.stringify(errors)}`);
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunpodAccount } from "../../../local/runpod/account/account";
import type { EnvVar } from "../../../local/runpod/account/records";
import { type RunpodDouble, startRunpod } from "../../../local/runpod/server";
import { idleWorker } from "../../../local/runpod/workers/worker";
import { Events } from "../../../local/support/events";

/** API key of every account. */
export const API_KEY = "chaos-account-key";

/** Name of two templates and an endpoint of another owner. The stack must not touch them. */
export const FOREIGN = "other-owner";

/** A RunPod double at a fixed URL. It can be restarted with a fresh account. */
export interface Accounts {
  url: string;
  /** Replaces the account with a fresh account. The fresh account contains only resources of another owner. */
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
      isInMemory: true,
      python: undefined,
      resolveImage: () => ({ version: "1" }),
      events: new Events(),
      startWorker: idleWorker,
      workersQuota: 20,
      templateHoldMs: 30,
      restPageSize: 4,
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
      addForeign(current.account);
      return current;
    },
    close: () => current.close(),
  };
}

/** Adds resources of another owner. One template has a variable without a name, which GraphQL's schema allows. */
function addForeign(account: RunpodAccount): void {
  const template = {
    name: FOREIGN,
    imageName: "registry.example/other:1",
    containerDiskInGb: 20,
    volumeInGb: 0,
    dockerArgs: "",
    env: [],
    isServerless: true,
    isPublic: false,
    startSsh: false,
    startJupyter: false,
  };
  const nameless = [{ key: null, value: null }] as unknown as EnvVar[];
  account.saveTemplate({ ...template, name: `${FOREIGN}-nameless`, env: nameless });
  account.saveEndpoint({
    name: FOREIGN,
    type: "QB",
    gpuIds: "AMPERE_16",
    gpuCount: 1,
    idleTimeout: 10,
    scalerType: "QUEUE_DELAY",
    scalerValue: 4,
    workersMin: 0,
    workersMax: 1,
    workersPFBTarget: 0,
    bindEndpoint: true,
    executionTimeoutMs: 0,
    flashBootType: "OFF",
    template,
  });
}

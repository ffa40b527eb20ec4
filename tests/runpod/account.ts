import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, vi } from "vitest";
import type { Fault } from "../../local/runpod/account/switches";
import { type RunpodDouble, type RunpodOptions, startRunpod } from "../../local/runpod/server";
import type { Api } from "../../runpod/apis";
import { configure } from "../../runpod/connection";
import { setRetryPolicy } from "../../runpod/retry";
import { API_KEY, idleDouble } from "./localDouble";

export const OWNER = "snack-misaki/dev";

/**
 * Gives each test a RunPod double with an empty account, and collects the lines that the provider shows to the
 * operator.
 */
export function useAccount(options: Partial<RunpodOptions> = {}) {
  const current = { runpod: undefined as unknown as RunpodDouble, lines: [] as string[] };
  let dir: string | undefined;
  const close = async () => {
    await current.runpod?.close();
    if (dir) await rm(dir, { recursive: true });
    dir = undefined;
    setRetryPolicy({ intervalMs: 500, limitMs: 10_000 });
  };
  beforeEach(async () => {
    await close();
    dir = await mkdtemp(join(tmpdir(), "snack-runpod-"));
    current.lines = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => void current.lines.push(line));
    current.runpod = await startRunpod({
      ...idleDouble(dir),
      isInMemory: true,
      ...options,
    });
    setRetryPolicy({ intervalMs: 5, limitMs: 1_000 });
  });
  afterAll(close);
  return current;
}

/** Configures the provider of this process for a double. All times are short. */
export function configureProvider({ url }: RunpodDouble, runpodApi: Api): void {
  const config: Record<string, string> = {
    runpodApi,
    runpodApiKey: API_KEY,
    runpodApiUrl: url,
    runpodJobApiUrl: `${url}/v2`,
    runpodRetryIntervalMs: "5",
    runpodRetryLimitMs: "5000",
    runpodSettleLimitMs: "300",
    runpodInUseIntervalMs: "10",
    runpodInUseLimitMs: "1000",
    runpodRolloutLimitMs: "0",
    runpodImageLookupMs: "0",
  };
  configure({ config: { get: (key) => config[key], require: (key) => config[key] ?? "" } });
}

/** A fault that answers calls. */
export function fault(on: string, answer: Fault["answer"], more: Partial<Fault> = {}): Fault {
  return { on, times: 1, skip: 0, done: false, delayMs: 0, answer, ...more };
}

export const templateInputs = {
  owner: OWNER,
  name: "snack-phi3",
  imageName: "registry.example/phi3:1",
  env: { MODEL: "phi3" },
  containerDiskInGb: 20,
  dockerArgs: "",
};

/** @param templateId id of the template that the endpoint runs */
export function endpointInputs(templateId: string) {
  return {
    owner: OWNER,
    name: "snack-phi3",
    templateId,
    gpuIds: ["AMPERE_24", "ADA_24", "-NVIDIA L4"],
    gpuCount: 1,
    workersMin: 0,
    workersMax: 3,
    idleTimeoutSeconds: 60,
    scalerType: "QUEUE_DELAY" as const,
    scalerValue: 4,
    executionTimeoutMs: 120_000,
    flashBootType: "OFF" as const,
    locations: [],
    modelReferences: [],
  };
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault } from "../../../local/runpod/account/switches";
import { trainingContainer } from "../../../local/runpod/pods/trainingContainer";
import { type RunpodDouble, startRunpod } from "../../../local/runpod/server";
import {
  type Limits,
  type PodResult,
  type PodRun,
  TOKEN_SECRET,
  trainOnRunpod,
} from "../../../training/command/runpod/trainOnRunpod";
import { API_KEY, idleDouble } from "../../runpod/localDouble";
import { FakeHub, HUB_TOKEN, REPOSITORY } from "./hub";

export const IMAGE = `ghcr.io/example/snack-misaki-training@sha256:${"a".repeat(64)}`;
export const NAME = "snack-misaki-train-mistral-test";

/** Short time limits for the double, which answers immediately. */
const quick: Limits = {
  pollMs: 50,
  startMs: 60_000,
  lostMs: 60_000,
  settle: { intervalMs: 50, limitMs: 600 },
  landMs: 3_000,
  end: { intervalMs: 50, limitMs: 60_000 },
};

const usualRun: PodRun = {
  model: "mistral",
  image: IMAGE,
  repository: REPOSITORY,
  dataset: undefined,
  runName: "test",
  gpuTypes: ["NVIDIA GeForce RTX 4090", "NVIDIA A40"],
  maxHours: 1,
  registryAuthId: undefined,
  judge: undefined,
};

/** RunPod's double, and a fake Hub that receives the result of each pod's container. */
export class PodFixture {
  lines: string[] = [];

  private constructor(
    readonly runpod: RunpodDouble,
    readonly hub: FakeHub,
    /** Environments of the started containers, with the values of the secrets. */
    readonly environments: Record<string, string>[],
    private readonly dir: string,
  ) {}

  static async start(): Promise<PodFixture> {
    const hub = await FakeHub.start();
    const dir = mkdtempSync(join(tmpdir(), "snack-misaki-pods-"));
    const environments: Record<string, string>[] = [];
    const runpod = await startRunpod({
      ...idleDouble(dir),
      isInMemory: true,
      podContainer: (context) => {
        environments.push(context.env);
        return trainingContainer(context, ({ repository, run, verdict }) => hub.upload(repository, run, verdict));
      },
    });
    const fixture = new PodFixture(runpod, hub, environments, dir);
    runpod.account.secrets.create({ name: TOKEN_SECRET, value: "hf_SECRET_OF_THE_POD" });
    runpod.switches.podStepMs = 20;
    return fixture;
  }

  fault(on: string, answer: Fault["answer"], more: Partial<Fault> = {}): void {
    this.runpod.switches.faults.push({ on, answer, times: 1, skip: 0, done: false, delayMs: 0, ...more });
  }

  train(
    run: Partial<PodRun> = {},
    limits: Partial<Limits> = {},
    { signal = new AbortController().signal, confirm = async () => true, timeoutMs = 30_000 } = {},
  ): Promise<PodResult> {
    return trainOnRunpod(
      { ...usualRun, ...run },
      {
        runpod: { apiKey: API_KEY, url: this.runpod.url, timeoutMs },
        hub: { url: this.hub.url, token: HUB_TOKEN },
        limits: { ...quick, ...limits },
        tell: (line) => this.lines.push(line),
        confirm,
        signal,
      },
    );
  }

  /** Adds a pod of another program that started `hours` ago. */
  startPod(name: string, hours: number): void {
    const container = { image: IMAGE, args: "", disk: 1, ports: [], env: {}, registry: null };
    const gpu = { id: "NVIDIA A40", count: 1 };
    const created = this.runpod.pods.create({ name, ...container, gpu, cloud: "SECURE", dataCenterIds: [] });
    created.createdAt = new Date(Date.now() - hours * 3_600_000).toISOString();
  }

  async close(): Promise<void> {
    await this.runpod.close();
    await this.hub.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Children } from "../../../local/pulumi/children";
import { dynamicPackage } from "../../../local/pulumi/dynamicProvider";
import type { EngineOptions } from "../../../local/pulumi/options";
import type { ResourceProvider } from "../../../local/pulumi/provider";
import { Providers } from "../../../local/pulumi/providers";
import { type Api, apis } from "../../../runpod/apis";
import type { SimulationOptions } from "../report";
import { API_KEY, openAccounts } from "./accounts";
import { BundleProvider } from "./bundleProvider";
import { type Outcome, runScenario } from "./runScenario";
import { makeScenario, type Scenario } from "./scenario";
import { type Registrations, readRegistrations, Stack } from "./stack";

export interface RunpodOptions extends SimulationOptions {
  /** Folder with the provider's bundle, `.build/runpod/provider.cjs`. Default: this repository. */
  programDir?: string;
  /** Creates the scenario of a seed. Default: a random scenario. */
  scenarioOf?: (seed: number) => Scenario;
  /** Milliseconds for which the provider retries a call. Default 3000. */
  retryLimitMs?: number;
}

/** Number of runs with each kind of error. */
export interface RunpodResult {
  runs: number;
  /** Number of runs after which RunPod has resources that the stack's state does not contain. */
  orphans: number;
  /** Number of runs in which a resource was created twice. */
  duplicates: number;
  /** Number of runs in which the account differs from the program, or Pulumi shows a change without a reason. */
  wrong: number;
}

/** A run with at least one error. */
export interface WrongRun extends Outcome {
  seed: number;
}

/** Number of parallel runs. A run spends most of its time waiting. */
const CONCURRENCY = 6;
/**
 * Every 50th seed runs the provider in Pulumi's own server for dynamic resources. The other runs call the provider's
 * bundle directly, which needs much less CPU time.
 */
const SERVER_EVERY_SEEDS = 50;

/**
 * Runs random scenarios. Each scenario is the life of one stack. The runs contain failures of several kinds: lost and
 * late calls, errors, storms, outdated lists, crashes, idle days, concurrent updates, the end of GraphQL. The same
 * options give the same scenarios.
 *
 * @param onWrongRun called with each run that had an error. The simulation ends early when `onWrongRun` returns true
 */
export async function simulateRunpod(
  options: RunpodOptions,
  onWrongRun: (wrong: WrongRun) => boolean | undefined = () => undefined,
): Promise<RunpodResult> {
  const { runs, seed: firstSeed, programDir = process.cwd(), trace, progress } = options;
  const { scenarioOf = makeScenario, retryLimitMs = 3_000 } = options;
  const result: RunpodResult = { runs: 0, orphans: 0, duplicates: 0, wrong: 0 };
  const registrations = await readRegistrations();
  const scenarios = Array.from({ length: runs }, (_, run) => ({
    seed: firstSeed + run,
    ...scenarioOf(firstSeed + run),
  }));
  let isStopped = false;
  const work = async (remaining: typeof scenarios, openProvider: OpenProvider) => {
    const bench = await openTestBench({ programDir, retryLimitMs }, registrations, openProvider);
    try {
      for (let next = remaining.shift(); next && !isStopped; next = remaining.shift()) {
        const outcome = await bench.run(next, next.seed, trace ?? (() => {}));
        const kinds = ["orphans", "duplicates", "wrong"] as const;
        for (const kind of kinds) if (outcome[kind].length > 0) result[kind] += 1;
        if (kinds.some((kind) => outcome[kind].length > 0))
          isStopped ||= onWrongRun({ seed: next.seed, ...outcome }) ?? false;
        result.runs += 1;
        await progress?.(result.runs, result.orphans + result.duplicates + result.wrong);
      }
    } finally {
      await bench.close();
    }
  };
  const usesServer = ({ seed }: { seed: number }) => seed % SERVER_EVERY_SEEDS === 0;
  const direct = scenarios.filter((scenario) => !usesServer(scenario));
  const throughServer = Object.keys(apis).map((api) =>
    scenarios.filter((scenario) => usesServer(scenario) && scenario.api === api),
  );
  await Promise.all([
    ...Array.from({ length: Math.min(CONCURRENCY, direct.length) }, () => work(direct, openBundle)),
    ...throughServer.filter((some) => some.length > 0).map((some) => work(some, startServer)),
  ]);
  return result;
}

/** Opens a provider. `connect` is called at the start of each operation of the engine. */
type OpenProvider = () => {
  /** @param log called with each line that the provider shows to the operator */
  connect(options: EngineOptions, log: (line: string) => void): Promise<ResourceProvider>;
  close(): Promise<void>;
};

/** Loads the provider's bundle into this process. */
const openBundle: OpenProvider = () => {
  let provider: BundleProvider | undefined;
  return {
    async connect({ programDir, config, project }, log) {
      provider ??= new BundleProvider(programDir);
      provider.log = log;
      provider.configure((key) => config[`${project}:${key}`]);
      return provider;
    },
    close: async () => {},
  };
};

/** Starts Pulumi's server for dynamic resources. The server never changes its first configuration. */
const startServer: OpenProvider = () => {
  const children = new Children();
  let providers: Providers | undefined;
  return {
    connect(options) {
      providers ??= new Providers(options, children);
      return providers.get(dynamicPackage);
    },
    async close() {
      await providers?.close();
      await children.close();
    },
  };
};

type Settings = Required<Pick<RunpodOptions, "programDir" | "retryLimitMs">>;

/** Opens a provider and an address for accounts. Each run gets a fresh account. */
async function openTestBench(settings: Settings, registrations: Registrations, openProvider: OpenProvider) {
  const dir = await mkdtemp(join(tmpdir(), "snack-chaos-runpod-"));
  const runpod = await openAccounts(dir);
  const provider = openProvider();
  return {
    async run(scenario: Scenario, seed: number, log: (line: string) => void): Promise<Outcome> {
      log(`seed ${seed}: ${scenario.api}`);
      const options = engineOptions(scenario.api, settings, join(dir, "stack.json"), runpod.url);
      const stack = new Stack(options, () => provider.connect(options, log), registrations);
      return runScenario(scenario, stack, await runpod.next(), log);
    },
    async close() {
      await provider.close();
      await runpod.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function engineOptions(
  runpodApi: Api,
  { programDir, retryLimitMs }: Settings,
  statePath: string,
  url: string,
): EngineOptions {
  const config = {
    runpodApi,
    runpodApiKey: API_KEY,
    runpodApiUrl: url,
    runpodJobApiUrl: `${url}/v2`,
    // All times are a hundredth of the real times: lists lag by up to 30 ms instead of 3 s.
    runpodRetryIntervalMs: "3",
    runpodRetryLimitMs: String(retryLimitMs),
    runpodSettleLimitMs: "80",
    runpodInUseIntervalMs: "10",
    runpodInUseLimitMs: "2000",
    // There are no workers and no registry, so the provider does not wait for a rollout and does not look up an image.
    runpodRolloutLimitMs: "0",
    runpodImageLookupMs: "0",
  };
  return {
    programDir,
    project: "snack-misaki",
    stack: "chaos",
    config: Object.fromEntries(Object.entries(config).map(([key, value]) => [`snack-misaki:${key}`, value])),
    secretKeys: [],
    statePath,
    providers: {},
  };
}

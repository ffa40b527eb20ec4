import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Children } from "../../../local/pulumi/children";
import type { EngineOptions } from "../../../local/pulumi/options";
import { Providers } from "../../../local/pulumi/providers";
import { type Api, apis } from "../../../runpod/apis";
import type { SimulationOptions } from "../report";
import { API_KEY, openAccounts } from "./accounts";
import { type Outcome, runScenario } from "./runScenario";
import { makeScenario, type Scenario } from "./scenario";
import { type Registrations, readRegistrations, Stack } from "./stack";

export interface RunpodOptions extends SimulationOptions {
  /** Folder with the provider's bundle, `.build/runpod/provider.cjs`. Default: this repository. */
  programDir?: string;
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

/** Number of parallel runs per API. A run spends most of its time waiting. */
const CONCURRENCY = 2;

/**
 * Runs random scenarios, each the life of one stack, with the RunPod provider in Pulumi's own server for dynamic
 * resources. The runs contain failures of several kinds: lost answers, errors, crashes, idle days. The same options
 * give the same scenarios.
 *
 * @param onWrongRun called with each run that had an error; when it returns true, the simulation ends early
 */
export async function simulateRunpod(
  { runs, seed: firstSeed, programDir = process.cwd(), trace, progress }: RunpodOptions,
  onWrongRun: (wrong: WrongRun) => boolean | undefined = () => undefined,
): Promise<RunpodResult> {
  const result: RunpodResult = { runs: 0, orphans: 0, duplicates: 0, wrong: 0 };
  const registrations = await readRegistrations();
  const scenarios = Array.from({ length: runs }, (_, run) => ({
    seed: firstSeed + run,
    ...makeScenario(firstSeed + run),
  }));
  let isStopped = false;
  const work = async (api: Api, remaining: typeof scenarios) => {
    const bench = await openTestBench(api, programDir, registrations);
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
  const benches = (Object.keys(apis) as Api[]).flatMap((api) => {
    const remaining = scenarios.filter((scenario) => scenario.api === api);
    return Array.from({ length: Math.min(CONCURRENCY, remaining.length) }, () => work(api, remaining));
  });
  await Promise.all(benches);
  return result;
}

/** Starts a provider process for one API. Each run gets a fresh account. */
async function openTestBench(api: Api, programDir: string, registrations: Registrations) {
  const dir = await mkdtemp(join(tmpdir(), "snack-chaos-runpod-"));
  const children = new Children();
  const runpod = await openAccounts(dir);
  const options = engineOptions(api, programDir, join(dir, "stack.json"), runpod.url);
  const providers = new Providers(options, children);
  return {
    async run(scenario: Scenario, seed: number, log: (line: string) => void): Promise<Outcome> {
      log(`seed ${seed}: ${api}`);
      return runScenario(scenario, new Stack(options, providers, registrations), await runpod.next(), log);
    },
    async close() {
      await providers.close();
      await children.close();
      await runpod.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function engineOptions(runpodApi: Api, programDir: string, statePath: string, url: string): EngineOptions {
  const config = {
    runpodApi,
    runpodApiKey: API_KEY,
    runpodApiUrl: url,
    runpodJobApiUrl: `${url}/v2`,
    runpodRetryIntervalMs: "2",
    runpodInUseIntervalMs: "10",
    runpodInUseLimitMs: "2000",
    // No worker and no registry exists here, so the provider need not wait for a rollout or look up an image.
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

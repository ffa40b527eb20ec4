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
import { makeScenario } from "./scenario";
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

/** Number of parallel runs. A run spends most of its time waiting. */
const CONCURRENCY = 4;

/**
 * Runs random scenarios, each the life of one stack, with the RunPod provider in Pulumi's own server for dynamic
 * resources. The RunPod doubles fail in several ways: lost answers, errors, crashes, idle days. The same options give
 * the same scenarios.
 *
 * @param onWrongRun called with each run that had an error
 */
export async function simulateRunpod(
  { runs, seed: firstSeed, programDir = process.cwd(), trace, progress }: RunpodOptions,
  onWrongRun: (wrong: WrongRun) => void = () => {},
): Promise<RunpodResult> {
  const result: RunpodResult = { runs, orphans: 0, duplicates: 0, wrong: 0 };
  const registrations = await readRegistrations();
  const seeds = Array.from({ length: runs }, (_, run) => firstSeed + run);
  let done = 0;
  const work = async () => {
    const bench = await openTestBench(programDir, registrations);
    try {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const outcome = await bench.run(seed, trace ?? (() => {}));
        const kinds = ["orphans", "duplicates", "wrong"] as const;
        for (const kind of kinds) if (outcome[kind].length > 0) result[kind] += 1;
        if (kinds.some((kind) => outcome[kind].length > 0)) onWrongRun({ seed, ...outcome });
        done += 1;
        await progress?.(done, result.orphans + result.duplicates + result.wrong);
      }
    } finally {
      await bench.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, runs) }, work));
  return result;
}

/** Starts one provider process for each API. Each run gets a fresh account. */
async function openTestBench(programDir: string, registrations: Registrations) {
  const dir = await mkdtemp(join(tmpdir(), "snack-chaos-runpod-"));
  const children = new Children();
  const runpod = await openAccounts(dir);
  const engines = new Map<Api, { options: EngineOptions; providers: Providers }>();
  for (const api of Object.keys(apis) as Api[]) {
    const options = engineOptions(api, programDir, join(dir, `${api}.json`), runpod.url);
    engines.set(api, { options, providers: new Providers(options, children) });
  }
  return {
    async run(seed: number, log: (line: string) => void): Promise<Outcome> {
      const scenario = makeScenario(seed);
      const engine = engines.get(scenario.api);
      if (!engine) throw new Error(`No engine for ${scenario.api}`);
      log(`seed ${seed}: ${scenario.api}`);
      const stack = new Stack(engine.options, engine.providers, registrations);
      return runScenario(scenario, stack, await runpod.next(), log);
    },
    async close() {
      for (const { providers } of engines.values()) await providers.close();
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

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Children } from "../../../local/pulumi/children";
import type { EngineOptions } from "../../../local/pulumi/options";
import { Providers } from "../../../local/pulumi/providers";
import { type Api, apis } from "../../../runpod/apis";
import { API_KEY, openAccounts } from "./accounts";
import { type Outcome, play } from "./play";
import { type Registrations, readRegistrations, Stack } from "./stack";
import { makeStory } from "./story";

/** What a simulation is made of. */
export interface SimulationOptions {
  runs: number;
  /** Of the first run; each further run has the next. */
  seed: number;
  /** Where the provider's bundle is, `.build/runpod/provider.cjs`; default: this repository, built. */
  programDir?: string;
  /** Called with each thing that happens. For a single run. */
  trace?: (line: string) => void;
  /** Called after every run. */
  progress?: (done: number, wrong: number) => Promise<void>;
}

/** In how many runs something was wrong. */
export interface SimulationResult {
  runs: number;
  /** Things left at RunPod that no state knows. */
  orphans: number;
  /** Things made twice. */
  duplicates: number;
  /** An account that is not what the program says, or a change shown where there is none. */
  wrong: number;
}

/** A run in which something was wrong. */
export interface WrongRun extends Outcome {
  seed: number;
}

/** Runs at once: most of a run is waiting. */
const LANES = 4;

/**
 * Plays lives of stacks to the RunPod provider, in Pulumi's own server for dynamic resources, on RunPod doubles that fail:
 * lost answers, refusals, machines that die, idle days. The same options give the same stories.
 *
 * @param wrongRun called with each run in which something was wrong
 */
export async function simulateRunpod(
  { runs, seed: firstSeed, programDir = process.cwd(), trace, progress }: SimulationOptions,
  wrongRun: (wrong: WrongRun) => void = () => {},
): Promise<SimulationResult> {
  const result: SimulationResult = { runs, orphans: 0, duplicates: 0, wrong: 0 };
  const registrations = await readRegistrations();
  const seeds = Array.from({ length: runs }, (_, run) => firstSeed + run);
  let done = 0;
  const work = async () => {
    const lane = await openLane(programDir, registrations);
    try {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const outcome = await lane.run(seed, trace ?? (() => {}));
        const kinds = ["orphans", "duplicates", "wrong"] as const;
        for (const kind of kinds) if (outcome[kind].length > 0) result[kind] += 1;
        if (kinds.some((kind) => outcome[kind].length > 0)) wrongRun({ seed, ...outcome });
        done += 1;
        await progress?.(done, result.orphans + result.duplicates + result.wrong);
      }
    } finally {
      await lane.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(LANES, runs) }, work));
  return result;
}

/** One place to play in: a provider for each API, and an empty account for each run. */
async function openLane(programDir: string, registrations: Registrations) {
  const dir = await mkdtemp(join(tmpdir(), "snack-chaos-runpod-"));
  const children = new Children();
  const runpod = await openAccounts(dir);
  const lanes = new Map<Api, { options: EngineOptions; providers: Providers }>();
  for (const api of Object.keys(apis) as Api[]) {
    const options = engineOptions(api, programDir, join(dir, `${api}.json`), runpod.url);
    lanes.set(api, { options, providers: new Providers(options, children) });
  }
  return {
    async run(seed: number, say: (line: string) => void): Promise<Outcome> {
      const story = makeStory(seed);
      const lane = lanes.get(story.api);
      if (!lane) throw new Error(`There is no lane for ${story.api}`);
      say(`seed ${seed}: ${story.api}`);
      return play(story, new Stack(lane.options, lane.providers, registrations), await runpod.next(), say);
    },
    async close() {
      for (const { providers } of lanes.values()) await providers.close();
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
    // The accounts' workers do nothing, and there is no registry to ask.
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

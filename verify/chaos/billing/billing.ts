import type { Customer } from "../../../functions/core/customer";
import { type Played, play } from "./stage";
import { makeStory, type Story } from "./story";
import {
  createdThenId,
  payloadLastWrite,
  policy,
  production,
  refetchNoFence,
  type Scene,
  type Strategy,
} from "./strategies";
import { factsOf } from "./stripeState";
import { type Difference, difference } from "./verdict";

/** What a simulation is made of. */
export interface SimulationOptions {
  runs: number;
  /** Of the first run; each further run has the next. */
  seed: number;
  /** False leaves out what production needs, to see that the harness notices. Default true. */
  fence?: boolean;
  reconciler?: boolean;
  /** Called with each event of the production strategy. For a single run: there are thousands of lines. */
  trace?: (line: string) => void;
  /** Called after every so many runs; what it returns is awaited. */
  progress?: (done: number, wrong: number) => Promise<void>;
}

/** How many runs ended with a row that gives another plan than Stripe's state does. */
export interface SimulationResult {
  runs: number;
  /** By the production code. */
  wrong: number;
  /** Writes that the fence refused. */
  staleRefused: number;
  /** By weaker strategies, in the same runs. */
  weaker: Record<keyof typeof weaker, number>;
}

/** A run of the production code that went wrong. */
export interface WrongRun extends Difference {
  seed: number;
}

const weaker = { payloadLastWrite, createdThenId, refetchNoFence } satisfies Record<string, (scene: Scene) => Strategy>;
const weakerNames = Object.keys(weaker) as (keyof typeof weaker)[];

const PROGRESS_EVERY_RUNS = 100;

/**
 * Plays customers' stories to the production sync and to weaker strategies, in virtual time, and compares each row in the
 * end with Stripe. The same options give the same result.
 *
 * @param wrongRun called with each run that the production code got wrong
 */
export async function simulateBilling(
  { runs, seed: firstSeed, fence = true, reconciler = true, trace, progress }: SimulationOptions,
  wrongRun: (wrong: WrongRun) => void = () => {},
): Promise<SimulationResult> {
  const result: SimulationResult = {
    runs,
    wrong: 0,
    staleRefused: 0,
    weaker: { payloadLastWrite: 0, createdThenId: 0, refetchNoFence: 0 },
  };
  for (let run = 0; run < runs; run += 1) {
    const seed = firstSeed + run;
    const story = makeStory(seed);
    const played = await play(story, seed, (scene) => production(scene, fence), {
      reconciler,
      ...(trace && { trace }),
    });
    const wrong = judge(story, played);
    if (wrong) {
      result.wrong += 1;
      wrongRun({ seed, ...wrong });
    }
    result.staleRefused += played.row.staleRefused;
    for (const name of weakerNames) {
      if (judge(story, await play(story, seed, weaker[name], { reconciler }))) result.weaker[name] += 1;
    }
    if ((run + 1) % PROGRESS_EVERY_RUNS === 0) await progress?.(run + 1, result.wrong);
  }
  return result;
}

function judge({ endsAt }: Story, { row, truth }: Played): Difference | undefined {
  return difference(expected(row, truth), row.customer, new Date(endsAt), policy);
}

/**
 * The customer as Stripe has them. What a price stood for before it became one we do not know, Stripe does not have:
 * there the row is held to what it has known itself, which it must not forget.
 */
function expected({ customer, everKnown }: Played["row"], truth: Played["truth"]): Customer {
  const known_plans = Object.fromEntries([...everKnown].map((id) => [id, { plan: "paid" as const, price_ids: [] }]));
  return { user_id: customer.user_id, ...factsOf(truth), known_plans };
}

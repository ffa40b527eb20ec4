import type { Fault } from "../../../local/runpod/account/switches";
import type { Api } from "../../../runpod/apis";
import { Random, streams } from "../random";
import { changed, firstWanted, type Wanted } from "./wanted";

/** One thing an operator does, and what goes wrong meanwhile. */
export interface Act {
  wanted: Wanted;
  faults: Fault[];
  /** Days that pass before: after three RunPod lowers `workersMax` to 2, after seven to 0. */
  daysBefore: number;
  /** Whether the operator refreshes first. */
  refresh: boolean;
  /** Whether the machine dies before the engine has written the state. */
  dies: boolean;
}

/** The life of a stack. */
export interface Story {
  api: Api;
  acts: Act[];
  /** What goes wrong while it is destroyed. */
  lastFaults: Fault[];
  /** Whether it is destroyed without regard to what needs what. */
  inAnyOrder: boolean;
}

/** The calls that may fail, as the double names them. */
const calls: Record<Api, readonly string[]> = {
  graphql: [
    "myself",
    "saveTemplate",
    "saveEndpoint",
    "saveRegistryAuth",
    "updateRegistryAuth",
    "deleteTemplate",
    "deleteEndpoint",
    "deleteRegistryAuth",
  ],
  rest: [
    "GET /v2/templates*",
    "GET /v2/serverless*",
    "GET /v2/registries",
    "POST /v2/templates",
    "POST /v2/serverless",
    "POST /v2/registries",
    "PATCH /v2/templates/*",
    "PATCH /v2/serverless/*",
    "DELETE /v2/templates/*",
    "DELETE /v2/serverless/*",
    "DELETE /v2/registries/*",
  ],
};

/** The story of a seed: the same one each time. Half of the seeds tell of GraphQL, half of REST. */
export function makeStory(seed: number): Story {
  const random = new Random(seed, streams.story);
  const api: Api = seed % 2 === 0 ? "graphql" : "rest";
  let wanted = firstWanted();
  const acts = Array.from({ length: random.int(3, 6) }, (_, number): Act => {
    if (number > 0) wanted = changed(wanted, api, number + 1, random);
    return {
      wanted,
      faults: faults(api, random),
      daysBefore: number > 0 && random.chance(0.25) ? random.pick([1, 4, 8]) : 0,
      refresh: number > 0 && random.chance(0.4),
      dies: random.chance(0.2),
    };
  });
  return { api, acts, lastFaults: faults(api, random), inAnyOrder: random.chance(0.5) };
}

function faults(api: Api, random: Random): Fault[] {
  return Array.from({ length: random.int(0, 4) }, () => ({
    on: random.pick(calls[api]),
    // Four attempts are made of one call: five failures outlast them.
    times: random.chance(0.2) ? 5 : random.int(1, 2),
    skip: random.int(0, 2),
    done: random.chance(0.6),
    delayMs: 0,
    answer: random.pick(["cut", "cut", "again", 500, 502, 503] as const),
  }));
}

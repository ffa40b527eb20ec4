import type { Fault } from "../../../local/runpod/account/switches";
import type { Api } from "../../../runpod/apis";
import { Random, streams } from "../random";
import { type DeclaredStack, initialStack, withRandomChange } from "./declaredStack";

/** One `pulumi up` by the operator, and the failures during it. */
export interface Update {
  declared: DeclaredStack;
  faults: Fault[];
  /** Idle days before the update. RunPod lowers `workersMax` to 2 after three idle days, and to 0 after seven. */
  daysBefore: number;
  /** Whether the operator runs `pulumi refresh` before the update. */
  refresh: boolean;
  /** Whether the machine crashes before the Pulumi engine writes the state. */
  losesState: boolean;
}

/** The life of one stack, from the first `up` to `destroy`. */
export interface Scenario {
  api: Api;
  updates: Update[];
  /** Failures during `destroy`. */
  destroyFaults: Fault[];
  /** Whether `destroy` ignores the dependencies between resources. */
  ignoresDependencies: boolean;
}

/** Calls that may fail, with the names that the RunPod double uses for them. */
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

/** Generates the scenario of a seed, always the same for the same seed. Even seeds use GraphQL, odd seeds REST. */
export function makeScenario(seed: number): Scenario {
  const random = new Random(seed, streams.scenario);
  const api: Api = seed % 2 === 0 ? "graphql" : "rest";
  let declared = initialStack();
  const updates = Array.from({ length: random.int(3, 6) }, (_, number): Update => {
    if (number > 0) declared = withRandomChange(declared, api, number + 1, random);
    return {
      declared,
      faults: faults(api, random),
      daysBefore: number > 0 && random.chance(0.25) ? random.pick([1, 4, 8]) : 0,
      refresh: number > 0 && random.chance(0.4),
      losesState: random.chance(0.2),
    };
  });
  return { api, updates, destroyFaults: faults(api, random), ignoresDependencies: random.chance(0.5) };
}

function faults(api: Api, random: Random): Fault[] {
  return Array.from({ length: random.int(0, 4) }, () => ({
    on: random.pick(calls[api]),
    // The provider makes four attempts of one call, so five failures make it give up.
    times: random.chance(0.2) ? 5 : random.int(1, 2),
    skip: random.int(0, 2),
    done: random.chance(0.6),
    delayMs: 0,
    answer: random.pick(["cut", "cut", "again", 500, 502, 503] as const),
  }));
}

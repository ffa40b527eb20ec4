import type { Fault } from "../../../local/runpod/account/switches";
import { type Api, apis } from "../../../runpod/apis";
import { Random, streams } from "../random";
import { type DeclaredStack, initialStack, withRandomChange } from "./declaredStack";

/** One `pulumi up` by the operator, and the failures during it. */
export interface Update {
  declared: DeclaredStack;
  faults: Fault[];
  /** Delay of RunPod's lists in milliseconds. */
  listLagMs: number;
  /**
   * Number of GraphQL calls in this update after which RunPod ends GraphQL. Undefined when GraphQL does not end in this
   * update.
   */
  graphqlEndsAfter: number | undefined;
  /** Idle days before the update. RunPod lowers `workersMax` to 2 after three idle days, and to 0 after seven. */
  daysBefore: number;
  /** Whether the operator runs `pulumi refresh` before the update. */
  refresh: boolean;
  /** Whether a second operator runs the same update at the same time, with a separate copy of the state. */
  isConcurrent: boolean;
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

/** One of RunPod's two APIs. */
type Protocol = "graphql" | "rest";

/** Calls that may fail, named as in the RunPod double. */
const calls: Record<Protocol, readonly string[]> = {
  graphql: [
    "myself",
    "saveTemplate",
    "saveEndpoint",
    "saveRegistryAuth",
    "updateRegistryAuth",
    "secretCreate",
    "secretValueUpdate",
    "deleteTemplate",
    "deleteEndpoint",
    "deleteRegistryAuth",
    "secretDelete",
  ],
  rest: [
    "GET /v2/templates*",
    "GET /v2/serverless*",
    "GET /v2/registries",
    "GET /v2/account/secrets",
    "POST /v2/templates",
    "POST /v2/serverless",
    "POST /v2/registries",
    "POST /v2/account/secrets",
    "PATCH /v2/templates/*",
    "PATCH /v2/serverless/*",
    "PATCH /v2/registries/*",
    "PATCH /v2/account/secrets/*",
    "DELETE /v2/templates/*",
    "DELETE /v2/serverless/*",
    "DELETE /v2/registries/*",
    "DELETE /v2/account/secrets/*",
  ],
};

/** Calls that fail in a storm. */
const everyCall: Record<Protocol, string> = { graphql: "POST /graphql", rest: "* /v2/*" };

/** Reads whose answer can contain `null` instead of a list. */
const lists: Record<Protocol, readonly [on: string, nullField: string][]> = {
  graphql: [
    ["myself", "podTemplates"],
    ["myself", "endpoints"],
    ["myself", "containerRegistryCreds"],
    ["myself", "secrets"],
  ],
  rest: [
    ["GET /v2/templates", "templates"],
    ["GET /v2/serverless", "endpoints"],
    ["GET /v2/registries", "registries"],
    ["GET /v2/account/secrets", "secrets"],
  ],
};

const names = Object.keys(apis) as Api[];

/** Generates the scenario of a seed. The same seed always gives the same scenario. */
export function makeScenario(seed: number): Scenario {
  const random = new Random(seed, streams.scenario);
  const api = names[seed % names.length] ?? "auto";
  const count = random.int(3, 6);
  const endsIn = api === "auto" ? random.int(0, count) : undefined;
  let declared = initialStack();
  const updates = Array.from({ length: count }, (_, number): Update => {
    if (number > 0) declared = withRandomChange(declared, number + 1, random);
    return {
      declared,
      faults: faults(api, random),
      listLagMs: random.chance(0.5) ? random.int(1, 30) : 0,
      graphqlEndsAfter: number === endsIn ? random.int(0, 15) : undefined,
      daysBefore: number > 0 && random.chance(0.25) ? random.pick([1, 4, 8]) : 0,
      refresh: number > 0 && random.chance(0.4),
      isConcurrent: random.chance(0.15),
      losesState: random.chance(0.2),
    };
  });
  return { api, updates, destroyFaults: faults(api, random), ignoresDependencies: random.chance(0.5) };
}

function faults(api: Api, random: Random): Fault[] {
  const protocol = () => (api === "auto" ? random.pick(["graphql", "rest"] as const) : api);
  const single = Array.from({ length: random.int(0, 4) }, (): Fault => {
    const done = random.chance(0.6);
    return {
      on: random.pick(calls[protocol()]),
      times: random.chance(0.2) ? 5 : random.int(1, 2),
      skip: random.int(0, 2),
      done,
      // Some calls take effect after their connection was lost. A short delay ends while the provider still looks for
      // the resource. A long delay ends after the provider has stopped looking.
      ...(done &&
        random.chance(0.4) && { landsAfterMs: random.chance(0.7) ? random.int(1, 20) : random.int(100, 150) }),
      delayMs: 0,
      answer: random.pick(["cut", "cut", "again", 500, 502, 503] as const),
    };
  });
  const others: Fault[] = [];
  const none = { done: false, delayMs: 0 };
  if (random.chance(0.15)) {
    const storm = { times: random.int(4, 9), skip: random.int(0, 10), retryAfterSeconds: 0 };
    others.push({ ...none, ...storm, on: everyCall[protocol()], answer: random.pick([429, 503] as const) });
  }
  if (random.chance(0.2)) {
    const [on, nullField] = random.pick(lists[protocol()]);
    others.push({ ...none, on, times: random.int(1, 3), skip: random.int(0, 3), answer: { nullField } });
  }
  return [...single, ...others];
}

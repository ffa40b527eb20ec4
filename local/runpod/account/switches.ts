import * as z from "zod";
import { parseCommaList, parseGpuIds } from "./gpuSelection";
import type { Endpoint } from "./records";

/** Patterns with the wildcard `*`, for example `snack-misaki-*`. */
const Patterns = z.array(z.string().min(1));

/** Fault of the calls that match a pattern. */
export const Fault = z.strictObject({
  /**
   * Pattern of the calls: a GraphQL field (`saveEndpoint`), or method and path (`POST /v2/serverless`,
   * `GET /v2/serverless/*`). `*` is a wildcard.
   */
  on: z.string().min(1),
  /** Number of calls that fail. Default 1. */
  times: z.int().min(1).default(1),
  /** Number of matching calls that get the correct answer before the first failure. Default 0. */
  skip: z.int().min(0).default(0),
  /** Whether the double executes the call before it sends the failure. Default false. */
  done: z.boolean().default(false),
  /**
   * Milliseconds between the failure and the execution of the call, if `done` is true. RunPod can execute a create some
   * time after the connection has broken. Default 0: the double executes the call before the failure.
   */
  landsAfterMs: z.int().min(0).optional(),
  /** Delay before the double handles the call, in milliseconds. */
  delayMs: z.int().min(0).default(0),
  /** Header `Retry-After` of an answer with the status 429. Default 1. */
  retryAfterSeconds: z.int().min(0).optional(),
  /**
   * Answer to the caller. `cut`: the double breaks the connection. `again`: RunPod's "try again later". A number: an
   * HTTP status. A message: a refusal with this text. `nullField`: the correct answer, but with `null` in every field
   * of this name. `pass`: the correct answer after `delayMs`.
   */
  answer: z.union([
    z.enum(["cut", "again", "pass"]),
    z.int().min(400).max(599),
    z.strictObject({ message: z.string().min(1) }),
    z.strictObject({ nullField: z.string().min(1) }),
  ]),
});
export type Fault = z.output<typeof Fault>;

/** Fault of all replies of an endpoint. Applies only to replies in the contract's format. */
export const ReplyFault = z.strictObject({
  /** Pattern of the endpoint's name. `*` is a wildcard. */
  on: z.string().min(1),
  /**
   * `failed`: the job fails. `empty`: the reply has no text. `invalid`: the final item lacks `usage`, which breaks the
   * contract. `slow`: the first text arrives three seconds later.
   */
  fault: z.enum(["failed", "empty", "invalid", "slow"]),
});
export type ReplyFault = z.output<typeof ReplyFault>;

/** Failures that this RunPod double simulates. A change takes effect immediately. */
export const Switches = z.strictObject({
  /** Faults of calls. The double removes a fault after its final use. */
  faults: z.array(Fault),
  /**
   * GPU pools, data centers and endpoint names without capacity. Idle workers stop immediately, and a busy worker stops
   * after its jobs. For pods: GPU types, data centers and pod names.
   */
  noCapacity: Patterns,
  /** Images that hosts cannot pull although the images are in the registry. */
  unpullable: Patterns,
  /** Names of endpoints whose workers crash at start. */
  crashing: Patterns,
  /** Faults of the replies of some endpoints. If several faults match an endpoint, the first fault applies. */
  replyFaults: z.array(ReplyFault),
  /** Delay before a worker's process starts, in milliseconds. */
  coldStartMs: z.int().min(0),
  /**
   * Cost of each endpoint in the present hour, in US dollars. `null`: the cost follows from the uptime of the workers.
   */
  hourlyUsd: z.number().min(0).nullable(),
  /** Delay after which lists show created and deleted resources, in milliseconds. */
  listLagMs: z.int().min(0),
  /** Delay before the container of a pod starts, in milliseconds. */
  podStartMs: z.int().min(0),
  /** Duration of one step of a pod's training, in milliseconds. */
  podStepMs: z.int().min(0),
  /**
   * Failure of each pod's training. `null`: no failure. The first four failures happen at the third step. `killed`: the
   * host ends the container. `diskFull`: the program fails, but the pod still runs. `restarted`: the program ends, and
   * RunPod starts the program again. `silent`: the program stops writing. `gateFailed`: the candidate has empty
   * replies. `gatesKilled`: the candidate has no report, because the host ended the gates. `uploadFailed`: Hugging Face
   * refuses every upload.
   */
  podFailure: z
    .enum(["killed", "diskFull", "restarted", "silent", "gateFailed", "gatesKilled", "uploadFailed"])
    .nullable(),
  /** Maximum number of lines in the log stream of a pod. `null`: the log is complete. */
  podLogLines: z.int().min(0).nullable(),
  /** Date of the header `Sunset` in every GraphQL response, for example `2027-01-31T00:00:00Z`. `null`: no header. */
  graphqlSunset: z.iso.datetime().nullable(),
});
export type Switches = z.output<typeof Switches>;

/** Creates switches that simulate no failure. */
export function createSwitches(): Switches {
  return {
    faults: [],
    noCapacity: [],
    unpullable: [],
    crashing: [],
    replyFaults: [],
    coldStartMs: 0,
    hourlyUsd: null,
    listLagMs: 0,
    podStartMs: 0,
    podStepMs: 100,
    podFailure: null,
    podLogLines: null,
    graphqlSunset: null,
  };
}

/** Returns the patterns of a switch, after one pattern has been added or removed. */
export function withPattern(patterns: readonly string[], pattern: string, on: boolean): string[] {
  return [...patterns.filter((one) => one !== pattern), ...(on ? [pattern] : [])];
}

/** Whether one of the patterns matches the whole text. */
export function matches(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => {
    const source = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${source.join(".*")}$`).test(text);
  });
}

/**
 * Whether an endpoint can get no worker. True if `noCapacity` contains all its pools, all its data centers or its name.
 */
export function hasNoCapacity(
  { noCapacity }: Switches,
  endpoint: Pick<Endpoint, "name" | "gpuIds" | "locations">,
): boolean {
  const allFull = (places: string[]) => places.length > 0 && places.every((place) => matches(noCapacity, place));
  return (
    matches(noCapacity, endpoint.name) ||
    allFull(parseGpuIds(endpoint.gpuIds ?? "").pools) ||
    allFull(parseCommaList(endpoint.locations))
  );
}

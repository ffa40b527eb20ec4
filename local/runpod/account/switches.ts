import * as z from "zod";
import { commaList, selection } from "./gpuSelection";
import type { Endpoint } from "./records";

/** Names with `*` for anything, such as `snack-misaki-*`. */
const globs = z.array(z.string().min(1));

/** Something that goes wrong with the next calls it matches. */
export const Fault = z.strictObject({
  /**
   * Which calls: a GraphQL field (`saveEndpoint`), or method and path (`POST /v2/serverless`, `GET /v2/serverless/*`),
   * where `*` stands for anything.
   */
  on: z.string().min(1),
  /** How many calls; 1 unless told. */
  times: z.int().min(1).default(1),
  /** How many matching calls pass first; 0 unless told. */
  skip: z.int().min(0).default(0),
  /** Whether the work is done all the same before the call fails; false unless told. */
  done: z.boolean().default(false),
  /** The wait before anything else, in milliseconds. */
  delayMs: z.int().min(0).default(0),
  /**
   * What the caller gets: `cut` cuts the connection, `again` is RunPod's "try again later", a number is an HTTP status,
   * a message is a refusal in these words, `pass` is the right answer (after the delay).
   */
  answer: z.union([
    z.enum(["cut", "again", "pass"]),
    z.int().min(400).max(599),
    z.strictObject({ message: z.string().min(1) }),
  ]),
});
export type Fault = z.output<typeof Fault>;

/** What can be made to go wrong. All off at first; change it at any time, it is read at every step. */
export const Switches = z.strictObject({
  /** Calls that fail, used up one by one. */
  faults: z.array(Fault),
  /** Where there is no capacity: pools, data centres or names of endpoints. */
  noCapacity: globs,
  /** Images that hosts cannot pull, although their registry has them. */
  unpullable: globs,
  /** Names of endpoints whose workers die as they start. */
  crashing: globs,
  /** How long a worker takes to start, in milliseconds, before its program is started. */
  coldStartMs: z.int().min(0),
});
export type Switches = z.output<typeof Switches>;

/** All off. */
export function createSwitches(): Switches {
  return { faults: [], noCapacity: [], unpullable: [], crashing: [], coldStartMs: 0 };
}

/** True when one of the patterns fits the whole text. */
export function matches(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => {
    const source = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${source.join(".*")}$`).test(text);
  });
}

/** True when there is no room for a worker of the endpoint: none of its pools has any, or none of its data centres. */
export function isFull({ noCapacity }: Switches, endpoint: Pick<Endpoint, "name" | "gpuIds" | "locations">): boolean {
  const areAllFull = (places: string[]) => places.length > 0 && places.every((place) => matches(noCapacity, place));
  return (
    matches(noCapacity, endpoint.name) ||
    areAllFull(selection(endpoint.gpuIds ?? "").pools) ||
    areAllFull(commaList(endpoint.locations))
  );
}

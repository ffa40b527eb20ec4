import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../median";
import { type Percentiles, percentiles } from "../percentile";
import { round } from "../round";
import type { StreamClient } from "../streamClient";
import { ask, type Subject } from "./subjects";

const ROUNDS = 40;
/**
 * Time for each server in a round. Requests in the part `settle` are not measured. All servers get the same time.
 * Otherwise a slow server would take most of a round, and the machine's cores would sleep meanwhile. Sleeping cores
 * would slow down the next servers.
 */
const BLOCK_MS = { settle: 100, measured: 400 };
/** Warm-up time of each server before the first round. */
const WARM_UP_MS = 3_000;
/** Pause before each request of `compareAfterPauses`, and number of requests to each server. */
const PAUSE = { ms: 20, requests: 300 };

/** Servers of the comparison. */
export interface Subjects {
  relay: Subject;
  /** Undefined when the gateway cannot be measured. */
  litellm: Subject | undefined;
  portkey: Subject | undefined;
}

/** Times to the first text. Each value is the median of the rounds. */
export interface FirstText {
  /** Time of a direct call. */
  direct: Percentiles;
  /** Time that each server adds to the time of a direct call. Undefined for a missing server. */
  added: Record<"relay", Percentiles> & Record<"litellm" | "portkey", Percentiles | undefined>;
}

/**
 * Compares the servers' times to the first text of a reply of one token. In a round, the servers answer one after
 * another. Each server answers a series of requests, so that its process is awake and its caches are warm. The order of
 * the servers is random.
 */
export async function compareFirstText(client: StreamClient, direct: Subject, subjects: Subjects): Promise<FirstText> {
  const others = Object.values(subjects).filter((subject) => subject !== undefined);
  for (const subject of [direct, ...others]) await measure(client, subject, WARM_UP_MS);
  const rounds: Map<Subject, Percentiles>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times = new Map<Subject, Percentiles>();
    for (const subject of shuffled([direct, ...others])) {
      await measure(client, subject, BLOCK_MS.settle);
      times.set(subject, percentiles(await measure(client, subject, BLOCK_MS.measured)));
    }
    rounds.push(times);
  }
  const added = (subject: Subject) => medians(rounds.map((round) => difference(round.get(subject), round.get(direct))));
  return {
    direct: medians(rounds.map((round) => difference(round.get(direct)))),
    added: {
      relay: added(subjects.relay),
      litellm: subjects.litellm && added(subjects.litellm),
      portkey: subjects.portkey && added(subjects.portkey),
    },
  };
}

/**
 * Time that the relay adds to the first text of a direct call. Each request follows a pause, like a chat in Lambda. The
 * machine's cores sleep during the pause, so this time includes their wake-up.
 */
export async function compareAfterPauses(client: StreamClient, direct: Subject, relay: Subject): Promise<Percentiles> {
  const targets = [await direct.target(1), await relay.target(1)];
  const times: number[][] = targets.map(() => []);
  for (let count = 0; count < PAUSE.requests; count++) {
    for (const [index, target] of targets.entries()) {
      await sleep(PAUSE.ms);
      times[index]?.push((await ask(client, target, 1)).firstTextMs);
    }
  }
  const [directly, relayed] = times.map(percentiles);
  return medians([difference(relayed, directly)]);
}

function difference(a: Percentiles | undefined, b: Percentiles = { p50: 0, p95: 0 }): Percentiles {
  return { p50: (a?.p50 ?? Number.NaN) - b.p50, p95: (a?.p95 ?? Number.NaN) - b.p95 };
}

function medians(rounds: Percentiles[]): Percentiles {
  return { p50: round(median(rounds.map(({ p50 }) => p50)), 2), p95: round(median(rounds.map(({ p95 }) => p95)), 2) };
}

/** Sends requests one after another for `durationMs` and returns their times. */
async function measure(client: StreamClient, subject: Subject, durationMs: number): Promise<number[]> {
  const target = await subject.target(1);
  const times: number[] = [];
  const end = performance.now() + durationMs;
  while (performance.now() < end) times.push((await ask(client, target, 1)).firstTextMs);
  return times;
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

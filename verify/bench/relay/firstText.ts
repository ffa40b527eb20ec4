import { median } from "../median";
import { type Percentiles, percentiles } from "../percentile";
import type { StreamClient } from "../streamClient";
import { ask, type Subject } from "./subjects";

/** Requests to every server before the first round. */
const WARM_UP = 300;
const ROUNDS = 15;
/** Requests to each server in a round, and how many of them come before the measured ones. */
const REQUESTS = { settle: 20, measured: 100 };

/** Servers of the comparison. */
export interface Subjects {
  relay: Subject;
  /** Undefined when the gateway cannot be measured. */
  litellm: Subject | undefined;
  portkey: Subject | undefined;
}

/** Times to the first text: the medians of the rounds. */
export interface FirstText {
  /** Time of a direct call. */
  direct: Percentiles;
  /** Time that each server adds to a direct call. Undefined for a missing server. */
  added: Record<"relay", Percentiles> & Record<"litellm" | "portkey", Percentiles | undefined>;
}

/**
 * Compares the times to the first text of a reply of one token. In a round, each server in turn answers one request
 * after another, so that its process is awake and its caches are warm. The order changes from round to round.
 */
export async function compareFirstText(client: StreamClient, direct: Subject, subjects: Subjects): Promise<FirstText> {
  const others = Object.values(subjects).filter((subject) => subject !== undefined);
  for (const subject of [direct, ...others]) await measure(client, subject, WARM_UP);
  const rounds: Map<Subject, Percentiles>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times = new Map<Subject, Percentiles>();
    for (const subject of shuffled([direct, ...others])) {
      const all = await measure(client, subject, REQUESTS.settle + REQUESTS.measured);
      times.set(subject, percentiles(all.slice(REQUESTS.settle)));
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

function difference(a: Percentiles | undefined, b: Percentiles = { p50: 0, p95: 0 }): Percentiles {
  return { p50: (a?.p50 ?? Number.NaN) - b.p50, p95: (a?.p95 ?? Number.NaN) - b.p95 };
}

function medians(rounds: Percentiles[]): Percentiles {
  return { p50: round2(median(rounds.map(({ p50 }) => p50))), p95: round2(median(rounds.map(({ p95 }) => p95))) };
}

/** Times of requests, one after another. */
async function measure(client: StreamClient, subject: Subject, requests: number): Promise<number[]> {
  const target = await subject.target(1);
  const times: number[] = [];
  for (let count = 0; count < requests; count++) times.push((await ask(client, target, 1)).firstTextMs);
  return times;
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

const round2 = (value: number) => Math.round(value * 100) / 100;

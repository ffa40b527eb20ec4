import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../median";
import type { StreamClient } from "../streamClient";
import { ask, type Subject } from "./subjects";

/** Number of concurrent clients. */
export const CLIENTS = 64;

const ROUNDS = 3;
/** Replies to each client in a round, and tokens of each reply. */
const REPLIES = 3;
const MAX_TOKENS = 60;
/** The clients start at different times within this span, like real customers. */
const SPREAD_MS = 2_500;

/** Tokens per second through the relay, divided by the tokens per second of direct calls: the median of the rounds. */
export async function compareThroughput(client: StreamClient, relay: Subject, direct: Subject): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const directly = await tokensPerSecond(client, direct);
    ratios.push((await tokensPerSecond(client, relay)) / directly);
  }
  return Math.round(median(ratios) * 1_000) / 1_000;
}

async function tokensPerSecond(client: StreamClient, subject: Subject): Promise<number> {
  const target = await subject.target(MAX_TOKENS);
  const startedAt = performance.now();
  const customer = async (_: unknown, index: number) => {
    await sleep((index / CLIENTS) * SPREAD_MS);
    for (let turn = 0; turn < REPLIES; turn++) await ask(client, target, MAX_TOKENS);
  };
  await Promise.all(Array.from({ length: CLIENTS }, customer));
  return (CLIENTS * REPLIES * MAX_TOKENS * 1_000) / (performance.now() - startedAt);
}

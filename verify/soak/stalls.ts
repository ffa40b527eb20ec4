import { setTimeout as sleep } from "node:timers/promises";
import type { Started } from "./cloud";
import { areas, type Timeline } from "./timeline";

const ASK_EVERY_MS = 250;
/** A quarter of DynamoDB's time limit, the shortest time limit of the product's calls. */
const STALL_MS = 500;

/** Watches whether this machine is too busy for the product's time limits. */
export interface StallWatch {
  /** Time in which the machine was too busy, in milliseconds. */
  stalledMs(): number;
  stop(): void;
}

/**
 * Requests the local cloud's style sheet repeatedly. An answer that takes longer than half a second means that this
 * machine is too busy. Calls within the local cloud can then exceed their time limits. Each stall counts as a fault
 * that explains all errors.
 */
export function watchStalls({ pageUrl }: Started, timeline: Timeline): StallWatch {
  const stopping = new AbortController();
  const { signal } = stopping;
  let stalledMs = 0;

  async function ask(): Promise<void> {
    const askedMs = performance.now();
    let end: (() => void) | undefined;
    const late = setTimeout(() => {
      end = timeline.begin(areas, askedMs);
    }, STALL_MS);
    const response = await fetch(`${pageUrl}/style.css`, { signal });
    await response.text();
    clearTimeout(late);
    const durationMs = performance.now() - askedMs;
    if (durationMs < STALL_MS) return;
    // When this process was paused, the answer can arrive before the timer fires.
    end ??= timeline.begin(areas, askedMs);
    end();
    stalledMs += durationMs;
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) {
      await ask().catch(() => {});
      await sleep(ASK_EVERY_MS, undefined, { signal });
    }
  }
  watch().catch(() => {});
  return { stalledMs: () => Math.round(stalledMs), stop: () => stopping.abort() };
}

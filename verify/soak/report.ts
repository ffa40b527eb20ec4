import pc from "picocolors";
import type { SoakResult } from "./run";

/** Largest growth of the resident memory, in percent. */
export const MAX_GROWTH_PERCENT = 10;

/** Output of `npm run verify -- soak --json`: numbers of findings. */
export interface SoakReport {
  chats: number;
  chatsPerMinute: number;
  accounts: number;
  rounds: number;
  stalledSeconds: number;
  excused: number;
  lostEvents: number;
  wrongPlans: number;
  unexpected5xx: number;
  unexpectedErrors: number;
  memoryGrowth: number;
  memoryMb: SoakResult["memoryMb"];
  containers: SoakResult["containers"];
  leftProcesses: number;
  passed: boolean;
}

/** Judges a run. A run without a chat proves nothing and fails. */
export function reportOf(result: SoakResult): SoakReport {
  const { chats, chatsPerMinute, accounts, rounds, stalledSeconds, excused, memoryMb, containers } = result;
  const counts = {
    lostEvents: result.lostEvents.length,
    wrongPlans: result.wrongPlans.length,
    unexpected5xx: result.unexpected5xx.length,
    unexpectedErrors: result.unexpectedErrors.length,
    leftProcesses: result.leftProcesses.length,
  };
  const isClean = Object.values(counts).every((count) => count === 0);
  const passed = isClean && chats > 0 && result.memoryGrowth <= MAX_GROWTH_PERCENT;
  const { memoryGrowth } = result;
  return {
    chats,
    chatsPerMinute,
    accounts,
    rounds,
    stalledSeconds,
    excused,
    ...counts,
    memoryGrowth,
    memoryMb,
    containers,
    passed,
  };
}

/** All findings, one per line. */
export function findingLines(result: SoakResult): string[] {
  const { lostEvents, wrongPlans, unexpected5xx, unexpectedErrors, leftProcesses } = result;
  return Object.entries({ lostEvents, wrongPlans, unexpected5xx, unexpectedErrors, leftProcesses }).flatMap(
    ([kind, found]) => found.map((text) => pc.red(`${kind}: ${text}`)),
  );
}

/** Renders the report as readable lines. */
export function soakLines({ memoryMb, containers, passed, memoryGrowth, ...counts }: SoakReport): string[] {
  const memory = Object.entries(memoryMb).map(([name, [before, after]]) => `${name} ${before} → ${after} MB`);
  return [
    ...Object.entries(counts).map(([name, count]) => `${name.padEnd(18)}${count}`),
    `memoryGrowth      ${memoryGrowth} % (limit ${MAX_GROWTH_PERCENT} %): ${memory.join(", ")}`,
    `containers        ${containers.join(" → ")}`,
    passed ? pc.green("passed") : pc.red("failed"),
  ];
}

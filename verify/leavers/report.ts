import pc from "picocolors";
import { CAP_MS } from "./cap";
import type { MemoryResult } from "./memory";
import { END_MS, type LeaversResult } from "./run";

/** Largest growth of the relay's memory between the two measurements. */
const MAX_GROWTH = 0.2;

/** Output of `npm run verify -- leavers --json`. */
export interface LeaversReport extends LeaversResult {
  clients: number;
  memory: { after200Mb: number; after2000Mb: number; ratio: number };
  passed: boolean;
}

/**
 * Judges a run. The run must meet three conditions:
 *
 * - After a client has cancelled, the client's upstream call ends within 1.5 s.
 * - Every other call ends within the cap.
 * - The memory has not grown by more than a fifth.
 *
 * A run that proves nothing also fails. In such a run, one of the groups has no call, has no client that left after
 * text, or has only such clients.
 */
export function reportOf(result: LeaversResult, memory: MemoryResult): LeaversReport {
  const { withCancel, withoutCancel } = result;
  const groups = [withCancel, withoutCancel];
  return {
    clients: withCancel.clients + withoutCancel.clients,
    ...result,
    memory: {
      after200Mb: megabytes(memory.firstBytes),
      after2000Mb: megabytes(memory.lastBytes),
      ratio: Math.round(memory.ratio * 1000) / 1000,
    },
    passed:
      groups.every(({ calls, afterText, clients }) => calls > 0 && afterText > 0 && afterText < clients) &&
      withCancel.longestAfterLeavingMs <= END_MS &&
      withoutCancel.outlivedCap === 0 &&
      memory.ratio <= 1 + MAX_GROWTH,
  };
}

/** Renders the report as readable lines. */
export function leaversLines({ withCancel, withoutCancel, memory, passed }: LeaversReport): string[] {
  const group = (name: string, { clients, afterText, calls }: LeaversReport["withCancel" | "withoutCancel"]) =>
    `${clients} clients ${name} left, ${afterText} of them after the first text; ${calls} upstream calls`;
  return [
    group("with the cancel call", withCancel),
    `  longest time from the moment a client leaves to the end of its call: ${withCancel.longestAfterLeavingMs} ms (limit ${END_MS} ms)`,
    group("without the cancel call", withoutCancel),
    `  calls longer than the cap of ${CAP_MS / 1000} s: ${withoutCancel.outlivedCap}`,
    `memory: ${memory.after200Mb} MB after 200 chats, ${memory.after2000Mb} MB after 2,000 (ratio ${memory.ratio})`,
    passed ? pc.green("passed") : pc.red("failed"),
  ];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

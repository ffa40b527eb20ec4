import Table from "cli-table3";
import pc from "picocolors";
import { type PlayOptions, type Report, SHOWN_WRONG_RUNS } from "../report";
import { type SimulationResult, simulateRunpod, type WrongRun } from "./runpod";

/** Plays the RunPod provider, and tells of it. */
export async function playRunpod(options: PlayOptions): Promise<Report> {
  const wrongRuns: WrongRun[] = [];
  const result = await simulateRunpod(options, (wrong) => void wrongRuns.push(wrong));
  return { result, failed: wrongRuns.length > 0, lines: () => describe(result, wrongRuns) };
}

function describe({ runs, ...counts }: SimulationResult, wrongRuns: WrongRun[]): string[] {
  const table = new Table({ head: ["what", "runs with any", `of ${runs}`], style: { head: [], border: [] } });
  for (const [name, count] of Object.entries(counts)) {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, count === 0 ? pc.green("0") : pc.red(String(count)), share]);
  }
  const lines = [table.toString()];
  for (const { seed, orphans, duplicates, wrong } of wrongRuns.slice(0, SHOWN_WRONG_RUNS)) {
    lines.push(pc.red(`wrong: --seed ${seed} --runs 1`));
    for (const each of [...orphans, ...duplicates, ...wrong]) lines.push(`  ${each}`);
  }
  const more = wrongRuns.length - SHOWN_WRONG_RUNS;
  if (more > 0) lines.push(`  … and ${more} more`);
  return lines;
}

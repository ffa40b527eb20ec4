import Table from "cli-table3";
import pc from "picocolors";
import { type Report, type SimulationOptions, wrongRunLines } from "../report";
import { type RunpodResult, simulateRunpod, type WrongRun } from "./simulation";

/** Runs the simulation of the RunPod provider. */
export async function reportRunpod(options: SimulationOptions): Promise<Report> {
  const wrongRuns: WrongRun[] = [];
  const result = await simulateRunpod(options, (wrong) => {
    wrongRuns.push(wrong);
    return false;
  });
  return { result, failed: wrongRuns.length > 0, lines: () => describe(result, wrongRuns) };
}

function describe({ runs, ...counts }: RunpodResult, wrongRuns: WrongRun[]): string[] {
  const table = new Table({ head: ["error", "runs", `of ${runs}`], style: { head: [], border: [] } });
  for (const [name, count] of Object.entries(counts)) {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, count === 0 ? pc.green("0") : pc.red(String(count)), share]);
  }
  const detailed = wrongRuns.map(({ seed, orphans, duplicates, wrong }) => ({
    seed,
    details: [...orphans, ...duplicates, ...wrong],
  }));
  return [table.toString(), ...wrongRunLines(detailed, wrongRuns.length)];
}

import Table from "cli-table3";
import pc from "picocolors";
import { type Report, type WrongRunSummary, wrongRunLines } from "../report";
import { type RunpodOptions, type RunpodResult, simulateRunpod } from "./simulation";

/** Runs the simulation of the RunPod provider. */
export async function reportRunpod(options: RunpodOptions): Promise<Report> {
  const wrongRuns: WrongRunSummary[] = [];
  const result = await simulateRunpod(options, ({ seed, orphans, duplicates, wrong }) => {
    wrongRuns.push({ seed, what: [...orphans, ...duplicates, ...wrong] });
    return false;
  });
  return { result: { ...result, wrongRuns }, failed: wrongRuns.length > 0, lines: () => describe(result, wrongRuns) };
}

function describe({ runs, ...counts }: RunpodResult, wrongRuns: WrongRunSummary[]): string[] {
  const table = new Table({ head: ["error", "runs", `of ${runs}`], style: { head: [], border: [] } });
  for (const [name, count] of Object.entries(counts)) {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, count === 0 ? pc.green("0") : pc.red(String(count)), share]);
  }
  return [table.toString(), ...wrongRunLines(wrongRuns, wrongRuns.length)];
}

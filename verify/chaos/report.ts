import pc from "picocolors";

/** Maximum number of wrong runs that a report lists. Further wrong runs are only counted. */
export const SHOWN_WRONG_RUNS = 20;

export interface SimulationOptions {
  runs: number;
  /** Seed of the first run. Each further run uses the next number. */
  seed: number;
  /** Called with one line for each event of the run. Used only for a single run, because one run has many events. */
  trace?: (line: string) => void;
  /** Called from time to time. The simulation waits for the returned promise. */
  progress?: (done: number, wrong: number) => Promise<void>;
}

/** A run with a wrong state. `what` contains one line for each error. */
export interface WrongRunSummary {
  seed: number;
  what: string[];
}

/** Result of a simulation, for the command to print. */
export interface Report {
  /** Printed with `--json`: the counts, and the wrong runs that the report lists. */
  result: object & { wrongRuns: WrongRunSummary[] };
  failed: boolean;
  /** Printed without `--json`. */
  lines(): string[];
}

/** Lines with the seed and the details of each wrong run, then the number of runs that are not listed. */
export function wrongRunLines(wrongRuns: WrongRunSummary[], total: number): string[] {
  const shown = wrongRuns.slice(0, SHOWN_WRONG_RUNS);
  const lines = shown.flatMap(({ seed, what }) => [
    pc.red(`wrong run: repeat it with --seed ${seed} --runs 1`),
    ...what.map((line) => `  ${line}`),
  ]);
  return total > shown.length ? [...lines, `  … and ${total - shown.length} more wrong runs`] : lines;
}

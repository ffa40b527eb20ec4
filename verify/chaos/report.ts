/** What every scenario is played with. */
export interface PlayOptions {
  runs: number;
  /** Of the first run; each further run has the next. */
  seed: number;
  /** Called with each thing that happens. For a single run. */
  trace?: (line: string) => void;
  /** Called now and then; what it returns is awaited. */
  progress: (done: number, wrong: number) => Promise<void>;
}

/** What a scenario has to say. */
export interface Report {
  /** For `--json`. */
  result: object;
  /** Whether anything was wrong. */
  failed: boolean;
  /** For people. */
  lines(): string[];
}

/** Wrong runs of which the seeds are shown. */
export const SHOWN_WRONG_RUNS = 20;

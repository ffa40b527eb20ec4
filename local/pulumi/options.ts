import type { StepEvent } from "./step";

/** Settings of an engine run. */
export interface EngineOptions {
  /** Folder of the program, with its package.json. */
  programDir: string;
  project: string;
  stack: string;
  /** Configuration of the stack by full key, such as `snack-misaki:auth`; objects as JSON text. */
  config: Record<string, string>;
  /** Keys of `config` with secret values. */
  secretKeys: string[];
  /**
   * Pattern of `pulumi:autonaming` for resources that the program does not name. A provider may ignore the pattern.
   * Default: the provider chooses the names.
   */
  autonaming?: string | undefined;
  /** File of the stack's state. */
  statePath: string;
  /**
   * Port on 127.0.0.1 of each package's provider; a promise while the provider still starts. Dynamic resources need no
   * entry.
   */
  providers: Record<string, number | Promise<number>>;
  /** Environment variables for the program and its dynamic providers; they override those of this process. */
  env?: Record<string, string>;
  /**
   * Whether the provider of dynamic resources starts before the program registers a dynamic resource. Default true, to
   * save time.
   */
  startsDynamicEarly?: boolean;
  /** Ends the program and its dynamic providers at once. Their running steps fail. */
  signal?: AbortSignal;
  /** Called after each step. */
  onStep?(step: StepEvent): void;
  /** Called with each warning that the program logs. */
  onWarning?(text: string): void;
}

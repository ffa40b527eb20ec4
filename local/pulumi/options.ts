import type { StepEvent } from "./step";

/** What a run of the engine works on. */
export interface EngineOptions {
  /** The folder of the program, with its package.json. */
  programDir: string;
  project: string;
  stack: string;
  /** The stack's configuration by full key, such as `snack-misaki:phi3`; objects as JSON text. */
  config: Record<string, string>;
  /** Keys of `config` whose values are secret. */
  secretKeys: string[];
  /** The file that holds the stack's state; caches are kept beside it. */
  statePath: string;
  /** Port on 127.0.0.1 of each package's provider, which may still be starting. Dynamic resources need none. */
  providers: Record<string, number | Promise<number>>;
  /** Environment variables for the program and its dynamic providers, over those of this process. */
  env?: Record<string, string>;
  /** Called after each step. */
  onStep?(step: StepEvent): void;
}

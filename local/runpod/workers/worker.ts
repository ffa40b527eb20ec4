import type { Endpoint, Template } from "../account/records";

/** Everything needed to start one worker. */
interface WorkerSpec {
  endpoint: Endpoint;
  template: Template;
  /** Version of the image's weights. The worker reads the version from a file. */
  version: string;
  /** Id for a new worker. A warm worker keeps the id from its start. */
  workerId: string;
  signals: WorkerSignals;
}

/** Callbacks with which a worker without HTTP sends messages to the fleet. */
export interface WorkerSignals {
  /** Reports that the worker is ready. A worker that uses HTTP is ready at its first request for a job. */
  ready(): void;
}

/** A started worker. */
export interface RunningWorker {
  /** Resolves when the worker has ended, with the reason if it is known. */
  exited: Promise<string | undefined>;
  /** Asks the worker to exit and kills it after `graceMs`. Resolves when it has ended. */
  stop(graceMs: number): Promise<void>;
}

/** Starts a worker and returns its id. */
export type WorkerLauncher = (spec: WorkerSpec) => { workerId: string; process: RunningWorker };

/** Worker that is ready at once and never takes a job. For accounts without jobs. */
export function idleWorker(_env: Record<string, string>, { ready }: WorkerSignals): RunningWorker {
  queueMicrotask(ready);
  const exited = Promise.withResolvers<undefined>();
  return { exited: exited.promise, stop: async () => exited.resolve(undefined) };
}

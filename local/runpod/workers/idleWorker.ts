import type { RunningWorker, WorkerSignals } from "./workers";

/** A worker that is up at once and never takes a job: for whoever needs an account with workers, but no work. */
export function idleWorker(_env: Record<string, string>, { ready }: WorkerSignals): RunningWorker {
  queueMicrotask(ready);
  let exit: (reason?: string) => void = () => undefined;
  const exited = new Promise<string | undefined>((resolve) => {
    exit = resolve;
  });
  return {
    exited,
    stop: async () => {
      exit();
    },
  };
}

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PreparedWorker } from "./pythonWorker";
import type { WarmWorkers } from "./warmWorkers";
import type { RunningWorker, WorkerLauncher, WorkerSignals } from "./worker";
import { imageEnvironment, platformEnvironment, type WorkerIdentity } from "./workerEnvironment";

/**
 * Starts a worker with its whole environment.
 *
 * @param prepared process that was started before the worker's endpoint existed
 */
export type StartWorker = (
  env: Record<string, string>,
  signals: WorkerSignals,
  identity: WorkerIdentity,
  prepared?: PreparedWorker,
) => RunningWorker;

/**
 * Creates the launcher for the workers of all endpoints.
 *
 * @param options.dir existing folder for version files. In an image the version file is in the folder of the weights.
 * @param options.jobApiUrl URL of the job API for workers
 * @param options.engineUrl OpenAI-compatible base URL for workers, with `/v1`
 * @param options.resolve replaces the references to secrets in a text
 */
export function workerLauncher(
  options: { dir: string; jobApiUrl: string; engineUrl: string; resolve: (text: string) => string },
  warm: WarmWorkers,
  start: StartWorker,
): WorkerLauncher {
  return ({ endpoint, template, version, workerId: newWorkerId, signals }) => {
    const prepared = warm.take(endpoint.id);
    const identity = prepared?.identity ?? { workerId: newWorkerId, endpointId: endpoint.id, aiKey: endpoint.aiKey };
    const { workerId } = identity;
    const { engineUrl, resolve } = options;
    const versionFile = join(options.dir, `${workerId}.version.json`);
    writeFileSync(versionFile, JSON.stringify({ version }));
    const env = {
      ...imageEnvironment(template, { engineUrl, versionFile, resolve }),
      ...platformEnvironment(identity, options.jobApiUrl),
    };
    const worker = start(env, signals, identity, prepared?.process);
    void worker.exited.then(() => rmSync(versionFile, { force: true }));
    return { workerId, process: worker };
  };
}

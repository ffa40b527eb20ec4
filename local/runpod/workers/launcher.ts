import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PreparedWorker } from "./pythonWorker";
import type { WarmWorkers } from "./warmWorkers";
import { imageEnvironment, platformEnvironment, type WorkerIdentity } from "./workerEnvironment";
import type { RunningWorker, WorkerLauncher, WorkerSignals } from "./workers";

/**
 * Starts a worker with its whole environment.
 *
 * @param waiting the process prepared for it, if there is one
 */
export type StartWorker = (
  env: Record<string, string>,
  signals: WorkerSignals,
  identity: WorkerIdentity,
  waiting?: PreparedWorker,
) => RunningWorker;

/**
 * What starts the workers of every endpoint.
 *
 * @param place.dir existing folder for the files that stand for those baked beside the weights
 * @param place.jobApiUrl where workers find the job API
 * @param place.engineUrl OpenAI-compatible base URL they call, with `/v1`
 */
export function workerLauncher(
  place: { dir: string; jobApiUrl: string; engineUrl: string },
  warm: WarmWorkers,
  start: StartWorker,
): WorkerLauncher {
  return ({ endpoint, template, version, workerId: proposed, signals }) => {
    const waiting = warm.take(endpoint.id);
    const identity = waiting?.identity ?? { workerId: proposed, endpointId: endpoint.id, aiKey: endpoint.aiKey };
    const { workerId } = identity;
    const versionFile = join(place.dir, `${workerId}.version.json`);
    writeFileSync(versionFile, JSON.stringify({ version }));
    const env = {
      ...imageEnvironment(template, { engineUrl: place.engineUrl, versionFile }),
      ...platformEnvironment(identity, place.jobApiUrl),
    };
    const worker = start(env, signals, identity, waiting?.process);
    void worker.exited.then(() => rmSync(versionFile, { force: true }));
    return { workerId, process: worker };
  };
}

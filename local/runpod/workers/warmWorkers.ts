import { newAiKey, newId } from "../account/ids";
import type { PreparedWorker } from "./pythonWorker";
import type { WorkerIdentity } from "./workerEnvironment";

interface WarmWorker {
  identity: WorkerIdentity;
  process: PreparedWorker;
}

/**
 * Worker processes that start before their endpoints exist, so that the first replies come sooner. A process needs the
 * id and key of its endpoint at start. So this class creates an id and a key for each process. A new endpoint gets this
 * id and key, and the process becomes the endpoint's first worker.
 */
export class WarmWorkers {
  /** Workers for future endpoints, in the order of their use. */
  private unclaimed: WarmWorker[] = [];
  /** Workers of existing endpoints, by endpoint id. */
  private readonly claimed = new Map<string, WarmWorker>();

  /** Starts a process with `prepare`. */
  add(prepare: (identity: WorkerIdentity) => PreparedWorker): void {
    const identity = { workerId: newId(), endpointId: newId(), aiKey: newAiKey() };
    const warm = { identity, process: prepare(identity) };
    this.unclaimed.push(warm);
    // If a reserved process ends early, the endpoint starts a new process.
    void warm.process.exited.then(() => this.forget(warm));
  }

  /**
   * Returns id and key for a new endpoint and reserves the worker with that id. Undefined when all workers are
   * reserved.
   */
  claim(): { id: string; aiKey: string } | undefined {
    const warm = this.unclaimed.shift();
    if (!warm) return undefined;
    const { endpointId, aiKey } = warm.identity;
    this.claimed.set(endpointId, warm);
    return { id: endpointId, aiKey };
  }

  /** Removes and returns the worker reserved for this endpoint. The caller must stop it. */
  take(endpointId: string): WarmWorker | undefined {
    const warm = this.claimed.get(endpointId);
    this.claimed.delete(endpointId);
    return warm;
  }

  /** Stops the workers that no endpoint has taken. */
  async close(): Promise<void> {
    await Promise.all([...this.unclaimed, ...this.claimed.values()].map(({ process }) => process.stop(0)));
  }

  private forget(warm: WarmWorker): void {
    this.unclaimed = this.unclaimed.filter((other) => other !== warm);
    if (this.claimed.get(warm.identity.endpointId) === warm) this.claimed.delete(warm.identity.endpointId);
  }
}

import { newAiKey, newId } from "../account/ids";
import type { PreparedWorker } from "./pythonWorker";
import type { WorkerIdentity } from "./workerEnvironment";

interface WarmWorker {
  identity: WorkerIdentity;
  process: PreparedWorker;
}

/**
 * Workers prepared before their endpoints exist. A worker must know from the start which endpoint it is of, so an
 * endpoint that is created takes its id and key from here, and its first worker is the one that waits under that id.
 */
export class WarmWorkers {
  /** For endpoints that are yet to be created, the next one first. */
  private unclaimed: WarmWorker[] = [];
  /** By the id of an endpoint that exists. */
  private readonly claimed = new Map<string, WarmWorker>();

  /** Adds one, which `prepare` starts. */
  add(prepare: (identity: WorkerIdentity) => PreparedWorker): void {
    const identity = { workerId: newId(), endpointId: newId(), aiKey: newAiKey() };
    const warm = { identity, process: prepare(identity) };
    this.unclaimed.push(warm);
    // A dead one serves nobody: its endpoint starts another.
    void warm.process.exited.then(() => this.forget(warm));
  }

  /** Id and key for an endpoint that is being created, so that a worker waits for it; undefined when none is left. */
  claim(): { id: string; aiKey: string } | undefined {
    const warm = this.unclaimed.shift();
    if (!warm) return undefined;
    const { endpointId, aiKey } = warm.identity;
    this.claimed.set(endpointId, warm);
    return { id: endpointId, aiKey };
  }

  /** The worker that waits for this endpoint, once: it is the caller's from now on. */
  take(endpointId: string): WarmWorker | undefined {
    const warm = this.claimed.get(endpointId);
    this.claimed.delete(endpointId);
    return warm;
  }

  /** Ends all that still wait. */
  async close(): Promise<void> {
    await Promise.all([...this.unclaimed, ...this.claimed.values()].map(({ process }) => process.stop(0)));
  }

  private forget(warm: WarmWorker): void {
    this.unclaimed = this.unclaimed.filter((other) => other !== warm);
    if (this.claimed.get(warm.identity.endpointId) === warm) this.claimed.delete(warm.identity.endpointId);
  }
}

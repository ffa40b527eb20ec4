import type { Events } from "../events";
import { isFinal, type Job, type JobMoment, type JobQueue } from "./jobs";
import type { Endpoint, Template } from "./records";

/** What starts one worker. */
interface WorkerSpec {
  endpoint: Endpoint;
  template: Template;
  /** What is written in the image's version file. */
  version: string;
}

/** A worker that has been started. */
export interface RunningWorker {
  /** Resolves when it is gone, with what it last said if that explains anything. */
  exited: Promise<string | undefined>;
  /** Asks it to finish and exit, then ends it after `graceMs`. Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
}

/** Starts a worker and says which id it goes by. */
export type WorkerLauncher = (spec: WorkerSpec) => { workerId: string; process: RunningWorker };

/** One version of an endpoint with its template. */
export interface Release {
  endpoint: Endpoint;
  template: Template;
}

interface Worker {
  id: string;
  releaseVersion: number;
  process: RunningWorker;
  state: "initializing" | "ready" | "stopping";
  /** No more jobs; it is stopped when its last one ends. */
  draining: boolean;
  idleSince: number;
}

const STOP_GRACE_MS = 3_000;
const MAX_BACKOFF_MS = 30_000;

/**
 * The workers of one endpoint. It starts them on demand, stops idle ones, replaces them when the endpoint is released
 * anew, and starts crashed ones again.
 */
export class Fleet {
  private readonly workers = new Map<string, Worker>();
  private release: Release;
  /** A release starts one worker at once, which waits for its first job however long that takes. */
  private awaitsFirstJob = true;
  private failures = 0;
  private startAfter = 0;
  private closed = false;

  constructor(
    release: Release,
    private readonly options: {
      queue: JobQueue;
      launch: WorkerLauncher;
      resolveImage(imageName: string): { version: string } | undefined;
      events: Events;
    },
  ) {
    // A copy: the account changes its own objects in place.
    this.release = structuredClone(release);
  }

  /** Takes over what the account says now. */
  apply(release: Release): void {
    if (release.endpoint.version !== this.release.endpoint.version) {
      this.awaitsFirstJob = true;
      this.failures = 0;
      this.startAfter = 0;
    }
    this.release = structuredClone(release);
    this.tick();
  }

  /** Compares what runs with what should, and acts. Called at every change and about twice a second. */
  tick(): void {
    if (this.closed) return;
    this.options.queue.sweep();
    for (const worker of this.active()) if (this.isSurplus(worker)) this.retire(worker);
    if (Date.now() < this.startAfter) return;
    for (let missing = this.wanted() - this.current().length; missing > 0; missing--) if (!this.start()) return;
  }

  /** A job of this endpoint moved. */
  onJob(job: Job, moment: JobMoment): void {
    const worker = this.workers.get(job.workerId ?? "");
    if (worker) worker.idleSince = Date.now();
    if (moment === "taken") this.awaitsFirstJob = false;
    if (moment === "queued" || isFinal(job.status)) queueMicrotask(() => this.tick());
  }

  /** The worker asked for a job: it is up. */
  ready(workerId: string): void {
    const worker = this.workers.get(workerId);
    if (worker?.state !== "initializing") return;
    worker.state = "ready";
    worker.idleSince = Date.now();
    this.failures = 0;
    this.say(`worker ${workerId} ready`);
  }

  /** False when the worker gets no more jobs. */
  mayTake(workerId: string): boolean {
    const worker = this.workers.get(workerId);
    return worker !== undefined && worker.state !== "stopping" && !worker.draining;
  }

  /** True when the worker has been told to exit. */
  isStopping(workerId: string): boolean {
    return this.workers.get(workerId)?.state === "stopping";
  }

  /** The worker wants to be replaced after this job (`refresh_worker`). */
  refresh(workerId: string): void {
    const worker = this.workers.get(workerId);
    if (!worker) return;
    worker.draining = true;
    this.tick();
  }

  /** The worker failed its own start-up check; it exits by itself. */
  unfit(workerId: string, check: string): void {
    this.say(`worker ${workerId} failed its check: ${check}`);
  }

  /** Ids of the workers that are up or coming up. */
  ids(): string[] {
    return this.active().map(({ id }) => id);
  }

  /** The `workers` part of `/health`. */
  counts() {
    const active = this.active();
    const up = active.filter(({ state }) => state === "ready");
    const idle = up.filter(({ id }) => !this.isBusy(id)).length;
    return {
      idle,
      initializing: active.length - up.length,
      ready: idle,
      running: up.length - idle,
      throttled: 0,
      unhealthy: this.failures > 0 ? 1 : 0,
    };
  }

  /** Stops every worker, busy or not. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.workers.values()].map((worker) => this.stop(worker)));
  }

  private start(): boolean {
    const { endpoint, template } = this.release;
    const image = this.options.resolveImage(template.imageName ?? "");
    if (!image) {
      this.failed(`image not found: ${template.imageName}`);
      return false;
    }
    const { workerId, process } = this.options.launch({ endpoint, template, version: image.version });
    const worker: Worker = {
      id: workerId,
      releaseVersion: endpoint.version,
      process,
      state: "initializing",
      draining: false,
      idleSince: Date.now(),
    };
    this.workers.set(workerId, worker);
    this.say(`worker ${workerId} starting with ${image.version} (release ${endpoint.version})`);
    process.exited.then((reason) => this.onExit(worker, reason));
    return true;
  }

  private onExit(worker: Worker, reason: string | undefined): void {
    const expected = worker.state === "stopping" || worker.draining;
    this.workers.delete(worker.id);
    this.options.queue.workerLost(worker.id);
    if (expected) this.say(`worker ${worker.id} stopped`);
    else this.failed(`worker ${worker.id} crashed${reason ? `: ${reason}` : ""}`);
    this.tick();
  }

  private failed(why: string): void {
    this.failures += 1;
    const backoffMs = Math.min(1_000 * 2 ** (this.failures - 1), MAX_BACKOFF_MS);
    this.startAfter = Date.now() + backoffMs;
    this.say(`${why}; trying again in ${backoffMs / 1000} s`);
  }

  /** True for a worker that should go: it is of an old release, there are too many, or it has been idle long enough. */
  private isSurplus(worker: Worker): boolean {
    if (worker.draining || worker.releaseVersion !== this.release.endpoint.version) return true;
    const { workersMax, idleTimeout } = this.release.endpoint;
    const others = this.current().length - 1;
    if (others >= workersMax) return true;
    const idleMs = Date.now() - worker.idleSince;
    return (
      worker.state === "ready" && !this.isBusy(worker.id) && idleMs >= idleTimeout * 1000 && others >= this.wanted()
    );
  }

  private retire(worker: Worker): void {
    worker.draining = true;
    if (!this.isBusy(worker.id)) void this.stop(worker);
  }

  private async stop(worker: Worker): Promise<void> {
    worker.state = "stopping";
    this.options.queue.changed.notify();
    // An idle one has nothing to finish, and the SDK takes a second to notice.
    await worker.process.stop(this.isBusy(worker.id) ? STOP_GRACE_MS : 0);
  }

  /** How many workers of this release there should be. */
  private wanted(): number {
    const { workersMin, workersMax } = this.release.endpoint;
    return Math.min(Math.max(workersMin, this.awaitsFirstJob ? 1 : 0, this.demand()), workersMax);
  }

  private demand(): number {
    const { scalerType, scalerValue } = this.release.endpoint;
    const queued = this.options.queue.queued().filter(({ policy }) => !policy.lowPriority);
    const running = this.options.queue.running().length;
    if (scalerType === "REQUEST_COUNT") return Math.ceil((queued.length + running) / scalerValue);
    const oldest = queued[0];
    if (!oldest) return running > 0 ? 1 : 0;
    const current = this.current();
    const overdue = Date.now() - oldest.queuedAt >= scalerValue * 1000;
    const warming = current.some(({ state }) => state === "initializing");
    return Math.max(1, current.length + (overdue && !warming ? 1 : 0));
  }

  private isBusy(workerId: string): boolean {
    return this.options.queue.running(workerId).length > 0;
  }

  private active(): Worker[] {
    return [...this.workers.values()].filter(({ state }) => state !== "stopping");
  }

  private current(): Worker[] {
    const { version } = this.release.endpoint;
    return this.active().filter((worker) => !worker.draining && worker.releaseVersion === version);
  }

  private say(what: string): void {
    this.options.events.emit({ source: "worker", summary: `${this.release.endpoint.name}: ${what}` });
  }
}

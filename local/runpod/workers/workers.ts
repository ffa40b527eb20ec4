import type { Events } from "../../support/events";
import type { Clock } from "../account/clock";
import { newId } from "../account/ids";
import type { RegistryImage } from "../account/pull";
import type { Endpoint, Template } from "../account/records";
import { isFull, matches, type Switches } from "../account/switches";
import { isFinal, type Job, type JobMoment, type JobQueue } from "../jobs/jobs";

/** What starts one worker. */
interface WorkerSpec {
  endpoint: Endpoint;
  template: Template;
  /** What is written in the image's version file. */
  version: string;
  /** The id it goes by, unless one waits already under another. */
  workerId: string;
  signals: WorkerSignals;
}

/** What a worker without HTTP may tell the fleet. */
export interface WorkerSignals {
  /** It is up, as if it had asked for a job. */
  ready(): void;
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

/** States of a worker as REST v2 names them. */
export type WorkerStatus = "RUNNING" | "IDLE" | "INITIALIZING" | "THROTTLED" | "UNHEALTHY";

/** A line of a worker's system log. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  at: number;
  line: string;
}

/** A worker as it can be seen from outside. */
export interface WorkerView {
  id: string;
  status: WorkerStatus;
  /** Version of the endpoint it was started with. */
  version: number;
  image: string;
  /** Since when its program runs, and how long; undefined while it does not. Milliseconds. */
  running?: { since: number; forMs: number };
  log: readonly LogLine[];
}

interface Worker {
  id: string;
  releaseVersion: number;
  image: string;
  /** Undefined while it has no place, no image or nothing that runs. */
  process?: RunningWorker;
  state: "throttled" | "pulling" | "initializing" | "ready" | "unhealthy" | "stopping";
  /** No more jobs; it is stopped when its last one ends. */
  draining: boolean;
  idleSince: number;
  startedAt?: number;
  /** How often it has died since it was last up. */
  crashes: number;
  /** It is not started before. */
  notBefore: number;
  /** Why it does not start, once told. */
  obstacle?: string;
  log: LogLine[];
}

const STOP_GRACE_MS = 3_000;
const MAX_BACKOFF_MS = 30_000;
const LOG_LINES = 100;

/**
 * The workers of one endpoint. It starts them on demand, stops idle ones, replaces them when the endpoint is released
 * anew, and starts crashed ones again.
 */
export class Fleet {
  private readonly workers = new Set<Worker>();
  private release: Release;
  /** A release has started one worker at once, which waits for its first job however long that takes. */
  private awaitsFirstJob: boolean;
  private closed = false;
  /** Milliseconds that workers which are gone had run. */
  private pastMs = 0;

  constructor(
    release: Release,
    private readonly options: {
      queue: JobQueue;
      launch: WorkerLauncher;
      resolveImage(imageName: string): RegistryImage | undefined;
      pullProblem(template: Template): string | undefined;
      switches: Switches;
      clock: Clock;
      /** Whether a release starts a worker before there is a job. */
      startsAtOnce: boolean;
      events: Events;
    },
  ) {
    this.awaitsFirstJob = options.startsAtOnce;
    // A copy: the account changes its own objects in place.
    this.release = structuredClone(release);
  }

  /** Takes over what the account says now. */
  apply(release: Release): void {
    if (release.endpoint.version !== this.release.endpoint.version) this.awaitsFirstJob = this.options.startsAtOnce;
    this.release = structuredClone(release);
    this.tick();
  }

  /** Compares what runs with what should, and acts. Called at every change and about twice a second. */
  tick(): void {
    if (this.closed) return;
    this.options.queue.sweep();
    for (const worker of this.active()) if (this.isSurplus(worker)) this.retire(worker);
    for (let missing = this.wanted() - this.current().length; missing > 0; missing--) this.add();
    for (const worker of this.current()) if (!worker.process) this.advance(worker);
  }

  /** A job of this endpoint moved. */
  onJob(job: Job, moment: JobMoment): void {
    const worker = this.find(job.workerId);
    if (worker) worker.idleSince = this.options.clock.now();
    if (moment === "taken") this.awaitsFirstJob = false;
    if (moment === "queued" || isFinal(job.status)) queueMicrotask(() => this.tick());
  }

  /** The worker asked for a job: it is up. */
  ready(workerId: string): void {
    const worker = this.find(workerId);
    if (worker?.state !== "initializing") return;
    worker.state = "ready";
    worker.idleSince = this.options.clock.now();
    worker.crashes = 0;
    this.say(worker, "ready");
  }

  /** False when the worker gets no more jobs. */
  mayTake(workerId: string): boolean {
    const worker = this.find(workerId);
    return worker?.process !== undefined && worker.state !== "stopping" && !worker.draining;
  }

  /** True when the worker has been told to exit. */
  isStopping(workerId: string): boolean {
    return this.find(workerId)?.state === "stopping";
  }

  /** The worker wants to be replaced after this job (`refresh_worker`). */
  refresh(workerId: string): void {
    const worker = this.find(workerId);
    if (!worker) return;
    worker.draining = true;
    this.tick();
  }

  /** The worker failed its own start-up check; it exits by itself. */
  unfit(workerId: string, check: string): void {
    const worker = this.find(workerId);
    if (worker) this.say(worker, `failed its check: ${check}`);
  }

  /** The workers there are, without those that were told to exit. */
  list(): WorkerView[] {
    const now = this.options.clock.now();
    return this.active().map((worker) => ({
      id: worker.id,
      status: this.statusOf(worker),
      version: worker.releaseVersion,
      image: worker.image,
      ...(worker.startedAt !== undefined && { running: { since: worker.startedAt, forMs: now - worker.startedAt } }),
      log: worker.log,
    }));
  }

  /** Milliseconds that workers have run, all together. */
  upMs(): number {
    const now = this.options.clock.now();
    return [...this.workers].reduce(
      (sum, { process, startedAt }) => sum + (process ? now - (startedAt ?? now) : 0),
      this.pastMs,
    );
  }

  /** The `workers` part of `/health`. */
  counts() {
    const statuses = this.active().map((worker) => this.statusOf(worker));
    const count = (status: WorkerStatus) => statuses.filter((one) => one === status).length;
    return {
      idle: count("IDLE"),
      initializing: count("INITIALIZING"),
      ready: count("IDLE"),
      running: count("RUNNING"),
      throttled: count("THROTTLED"),
      unhealthy: count("UNHEALTHY"),
    };
  }

  /** Stops every worker, busy or not. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.workers].map((worker) => this.stop(worker)));
  }

  private add(): void {
    const now = this.options.clock.now();
    const { coldStartMs } = this.options.switches;
    this.workers.add({
      id: newId(),
      releaseVersion: this.release.endpoint.version,
      image: this.release.template.imageName ?? "",
      state: "initializing",
      draining: false,
      idleSince: now,
      crashes: 0,
      notBefore: now + coldStartMs,
      log: [],
    });
  }

  /** Takes a worker that does not run one step further: a place, the image, the program. */
  private advance(worker: Worker): void {
    const { endpoint, template } = this.release;
    const { switches, clock } = this.options;
    const problem = this.options.pullProblem(template);
    if (isFull(switches, endpoint)) this.hold(worker, "throttled", "waits for capacity");
    else if (problem) this.hold(worker, "pulling", `cannot pull its image: ${problem}`);
    else {
      if (worker.state !== "unhealthy") worker.state = "initializing";
      delete worker.obstacle;
      if (clock.now() < worker.notBefore) return;
      if (matches(switches.crashing, endpoint.name)) this.crashed(worker, "exit code 1");
      else this.launch(worker);
    }
  }

  private hold(worker: Worker, state: "throttled" | "pulling", obstacle: string): void {
    worker.state = state;
    if (worker.obstacle === obstacle) return;
    worker.obstacle = obstacle;
    this.say(worker, obstacle);
  }

  private launch(worker: Worker): void {
    const { endpoint, template } = this.release;
    const version = this.options.resolveImage(template.imageName ?? "")?.version ?? "";
    const signals = { ready: () => this.ready(worker.id) };
    const spec = { endpoint, template, version, workerId: worker.id, signals };
    const { workerId, process } = this.options.launch(spec);
    Object.assign(worker, { id: workerId, process, state: "initializing", startedAt: this.options.clock.now() });
    this.say(worker, `starting with ${version} (release ${endpoint.version})`);
    process.exited.then((reason) => this.onExit(worker, reason));
  }

  private onExit(worker: Worker, reason: string | undefined): void {
    this.pastMs += this.options.clock.now() - (worker.startedAt ?? this.options.clock.now());
    delete worker.process;
    delete worker.startedAt;
    this.options.queue.workerLost(worker.id);
    if (worker.state === "stopping" || worker.draining) {
      this.workers.delete(worker);
      this.say(worker, "stopped");
    } else this.crashed(worker, reason);
    this.tick();
  }

  private crashed(worker: Worker, reason: string | undefined): void {
    worker.crashes += 1;
    worker.state = "unhealthy";
    const backoffMs = Math.min(1_000 * 2 ** (worker.crashes - 1), MAX_BACKOFF_MS);
    worker.notBefore = this.options.clock.now() + backoffMs;
    this.say(worker, `crashed${reason ? `: ${reason}` : ""}; trying again in ${backoffMs / 1000} s`);
  }

  /** True for a worker that should go: it is of an old release, there are too many, or it has been idle long enough. */
  private isSurplus(worker: Worker): boolean {
    if (worker.draining || worker.releaseVersion !== this.release.endpoint.version) return true;
    const { workersMax, idleTimeout } = this.release.endpoint;
    const others = this.current().length - 1;
    if (others >= workersMax) return true;
    const isUp = worker.state === "ready" && !this.isBusy(worker.id);
    const idleMs = this.options.clock.now() - worker.idleSince;
    return isUp && idleMs >= idleTimeout * 1000 && others >= this.wanted();
  }

  private retire(worker: Worker): void {
    worker.draining = true;
    if (!this.isBusy(worker.id)) void this.stop(worker);
  }

  private async stop(worker: Worker): Promise<void> {
    worker.state = "stopping";
    this.options.queue.changed.notify();
    if (!worker.process) this.workers.delete(worker);
    // An idle one has nothing to finish, and the SDK takes a second to notice.
    await worker.process?.stop(this.isBusy(worker.id) ? STOP_GRACE_MS : 0);
  }

  /** How many workers of this release there should be. */
  private wanted(): number {
    const { workersMin, workersMax, type } = this.release.endpoint;
    // Nothing balances load here: such an endpoint exists in the account only.
    if (type === "LB") return 0;
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
    const overdue = this.options.clock.now() - oldest.queuedAt >= scalerValue * 1000;
    const warming = current.some(({ state }) => state !== "ready");
    return Math.max(1, current.length + (overdue && !warming ? 1 : 0));
  }

  private statusOf(worker: Worker): WorkerStatus {
    if (worker.state === "ready") return this.isBusy(worker.id) ? "RUNNING" : "IDLE";
    if (worker.state === "throttled") return "THROTTLED";
    // One that keeps dying is not healthy while it tries once more.
    return worker.crashes > 0 && worker.state !== "pulling" ? "UNHEALTHY" : "INITIALIZING";
  }

  private find(workerId: string | undefined): Worker | undefined {
    return [...this.workers].find(({ id }) => id === workerId);
  }

  private isBusy(workerId: string): boolean {
    return this.options.queue.running(workerId).length > 0;
  }

  private active(): Worker[] {
    return [...this.workers].filter(({ state }) => state !== "stopping");
  }

  private current(): Worker[] {
    const { version } = this.release.endpoint;
    return this.active().filter((worker) => !worker.draining && worker.releaseVersion === version);
  }

  private say(worker: Worker, what: string): void {
    worker.log.push({ at: this.options.clock.now(), line: what });
    if (worker.log.length > LOG_LINES) worker.log.shift();
    const summary = `${this.release.endpoint.name}: worker ${worker.id} ${what}`;
    this.options.events.emit({ source: "worker", summary });
  }
}

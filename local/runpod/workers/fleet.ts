import type { Events } from "../../support/events";
import type { Clock } from "../account/clock";
import { newId } from "../account/ids";
import type { RegistryImage } from "../account/imagePull";
import type { Endpoint, LogLine, Template } from "../account/records";
import { hasNoCapacity, matches, type Switches } from "../account/switches";
import { isFinal, type Job, type JobEvent, type JobQueue } from "../jobs/jobQueue";
import type { RunningWorker, WorkerLauncher } from "./worker";

/** An endpoint's version with the template that it uses. */
export interface Release {
  endpoint: Endpoint;
  template: Template;
}

/** Status of a worker in REST v2. */
export type WorkerStatus = "RUNNING" | "IDLE" | "INITIALIZING" | "THROTTLED" | "UNHEALTHY";

/** Data of a worker for the responses of the APIs. */
export interface WorkerView {
  id: string;
  status: WorkerStatus;
  /** The endpoint's version when the worker was added. */
  version: number;
  image: string;
  /** Start and uptime of the worker's process, in milliseconds. Undefined while no process runs. */
  running?: { since: number; forMs: number };
  log: readonly LogLine[];
}

interface Worker {
  id: string;
  releaseVersion: number;
  image: string;
  /** The worker's process. Undefined until capacity and image are available, and after a crash. */
  process?: RunningWorker;
  state: "throttled" | "pulling" | "initializing" | "ready" | "unhealthy" | "stopping";
  /** Whether the worker gets no new jobs. The fleet stops such a worker after its current jobs. */
  draining: boolean;
  idleSince: number;
  startedAt?: number;
  /** Number of crashes since the worker was last ready. */
  crashes: number;
  /** Earliest time at which the worker's process may start, in milliseconds since the epoch. */
  startNotBefore: number;
  /** Logged reason why the worker's process does not start. */
  waitReason?: string;
  log: LogLine[];
}

const STOP_GRACE_MS = 3_000;
const MAX_BACKOFF_MS = 30_000;
const MAX_LOG_LINES = 100;

/**
 * Workers of one endpoint. The fleet starts workers on demand, stops idle workers and restarts crashed workers. After a
 * release it replaces all workers.
 */
export class Fleet {
  private readonly workers = new Set<Worker>();
  private release: Release;
  /** Whether the release keeps one worker running until its first job. The idle timeout does not stop this worker. */
  private awaitsFirstJob: boolean;
  private closed = false;
  /** Total uptime of processes that have ended. */
  private endedUptimeMs = 0;

  constructor(
    release: Release,
    private readonly options: {
      queue: JobQueue;
      launch: WorkerLauncher;
      resolveImage(imageName: string): RegistryImage | undefined;
      pullError(template: Template): string | undefined;
      switches: Switches;
      clock: Clock;
      /** Whether a release starts one worker before the first job. */
      startOnRelease: boolean;
      events: Events;
    },
  ) {
    this.awaitsFirstJob = options.startOnRelease;
    // The account changes its objects in place, so the fleet needs a copy.
    this.release = structuredClone(release);
  }

  /** Updates the fleet after a change in the account. */
  apply(release: Release): void {
    if (release.endpoint.version !== this.release.endpoint.version) this.awaitsFirstJob = this.options.startOnRelease;
    this.release = structuredClone(release);
    this.tick();
  }

  /** Starts and stops workers as needed. Called after every change and about twice a second. */
  tick(): void {
    if (this.closed) return;
    this.options.queue.sweep();
    for (const worker of this.active()) if (this.isSurplus(worker)) this.retire(worker);
    for (let missing = this.targetCount() - this.current().length; missing > 0; missing--) this.add();
    for (const worker of this.current()) if (!worker.process) this.advance(worker);
  }

  /** Reacts to an event of one of the endpoint's jobs. */
  onJob(job: Job, event: JobEvent): void {
    const worker = this.find(job.workerId);
    if (worker) worker.idleSince = this.options.clock.now();
    if (event === "taken") this.awaitsFirstJob = false;
    if (event === "queued" || isFinal(job.status)) queueMicrotask(() => this.tick());
  }

  /** Marks a worker that asked for a job as ready. */
  ready(workerId: string): void {
    const worker = this.find(workerId);
    if (worker?.state !== "initializing") return;
    worker.state = "ready";
    worker.idleSince = this.options.clock.now();
    worker.crashes = 0;
    this.log(worker, "ready");
  }

  /** Whether the worker may get a job. */
  mayTake(workerId: string): boolean {
    const worker = this.find(workerId);
    return worker?.process !== undefined && worker.state !== "stopping" && !worker.draining;
  }

  /** Whether the worker was asked to exit. */
  isStopping(workerId: string): boolean {
    return this.find(workerId)?.state === "stopping";
  }

  /** Replaces the worker after its current jobs. The worker asks for this with `refresh_worker`. */
  refresh(workerId: string): void {
    const worker = this.find(workerId);
    if (!worker) return;
    worker.draining = true;
    this.tick();
  }

  /** Logs a failed fitness check. The worker exits after such a failure, so the fleet need not stop it. */
  reportFailedCheck(workerId: string, check: string): void {
    const worker = this.find(workerId);
    if (worker) this.log(worker, `failed its check: ${check}`);
  }

  /** All workers except those that were asked to exit. */
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

  /** Total uptime of all processes so far, in milliseconds. */
  uptimeMs(): number {
    const now = this.options.clock.now();
    return [...this.workers].reduce(
      (sum, { process, startedAt }) => sum + (process ? now - (startedAt ?? now) : 0),
      this.endedUptimeMs,
    );
  }

  /** The `workers` part of `/health`. */
  counts() {
    const statuses = this.active().map((worker) => this.statusOf(worker));
    const count = (wanted: WorkerStatus) => statuses.filter((status) => status === wanted).length;
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
      startNotBefore: now + coldStartMs,
      log: [],
    });
  }

  /** Takes the next step of a worker without a process: reserves capacity, pulls the image, or starts the process. */
  private advance(worker: Worker): void {
    const { endpoint, template } = this.release;
    const { switches, clock } = this.options;
    const pullError = this.options.pullError(template);
    if (hasNoCapacity(switches, endpoint)) this.hold(worker, "throttled", "waits for capacity");
    else if (pullError) this.hold(worker, "pulling", `cannot pull its image: ${pullError}`);
    else {
      if (worker.state !== "unhealthy") worker.state = "initializing";
      delete worker.waitReason;
      if (clock.now() < worker.startNotBefore) return;
      if (matches(switches.crashing, endpoint.name)) this.restartLater(worker, "exit code 1");
      else this.launch(worker);
    }
  }

  /** Keeps a worker waiting. Logs each reason only once. */
  private hold(worker: Worker, state: "throttled" | "pulling", reason: string): void {
    worker.state = state;
    if (worker.waitReason === reason) return;
    worker.waitReason = reason;
    this.log(worker, reason);
  }

  private launch(worker: Worker): void {
    const { endpoint, template } = this.release;
    const version = this.options.resolveImage(template.imageName ?? "")?.version ?? "";
    const signals = { ready: () => this.ready(worker.id) };
    const spec = { endpoint, template, version, workerId: worker.id, signals };
    const { workerId, process } = this.options.launch(spec);
    Object.assign(worker, { id: workerId, process, state: "initializing", startedAt: this.options.clock.now() });
    this.log(worker, `starting with ${version} (release ${endpoint.version})`);
    process.exited.then((reason) => this.onExit(worker, reason));
  }

  private onExit(worker: Worker, reason: string | undefined): void {
    this.endedUptimeMs += this.options.clock.now() - (worker.startedAt ?? this.options.clock.now());
    delete worker.process;
    delete worker.startedAt;
    this.options.queue.workerLost(worker.id);
    if (worker.state === "stopping" || worker.draining) {
      this.workers.delete(worker);
      this.log(worker, "stopped");
    } else this.restartLater(worker, reason);
    this.tick();
  }

  /** Schedules the restart of a crashed worker, with exponential backoff. */
  private restartLater(worker: Worker, reason: string | undefined): void {
    worker.crashes += 1;
    worker.state = "unhealthy";
    const backoffMs = Math.min(1_000 * 2 ** (worker.crashes - 1), MAX_BACKOFF_MS);
    worker.startNotBefore = this.options.clock.now() + backoffMs;
    this.log(worker, `crashed${reason ? `: ${reason}` : ""}; trying again in ${backoffMs / 1000} s`);
  }

  /**
   * Whether a worker must stop, because it belongs to an old release, has lost its GPU, exceeds the maximum or was idle
   * for too long.
   */
  private isSurplus(worker: Worker): boolean {
    if (worker.draining || worker.releaseVersion !== this.release.endpoint.version) return true;
    if (worker.process && hasNoCapacity(this.options.switches, this.release.endpoint)) return true;
    const { workersMax, idleTimeout } = this.release.endpoint;
    const others = this.current().length - 1;
    if (others >= workersMax) return true;
    const isUp = worker.state === "ready" && !this.isBusy(worker.id);
    const idleMs = this.options.clock.now() - worker.idleSince;
    return isUp && idleMs >= idleTimeout * 1000 && others >= this.targetCount();
  }

  private retire(worker: Worker): void {
    worker.draining = true;
    if (!this.isBusy(worker.id)) void this.stop(worker);
  }

  private async stop(worker: Worker): Promise<void> {
    worker.state = "stopping";
    this.options.queue.changed.notify();
    if (!worker.process) this.workers.delete(worker);
    // An idle worker has no job to finish, and the SDK needs a second to exit. So the fleet kills the worker at once.
    await worker.process?.stop(this.isBusy(worker.id) ? STOP_GRACE_MS : 0);
  }

  /** Number of workers that the current release needs. */
  private targetCount(): number {
    const { workersMin, workersMax, type } = this.release.endpoint;
    // The double has no load balancer. An endpoint of type LB exists in the account only and gets no workers.
    if (type === "LB") return 0;
    return Math.min(Math.max(workersMin, this.awaitsFirstJob ? 1 : 0, this.demand()), workersMax);
  }

  /** Number of workers that the jobs need according to the endpoint's scaler. */
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
    // A crashed worker stays unhealthy until it is ready again.
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

  private log(worker: Worker, line: string): void {
    worker.log.push({ at: this.options.clock.now(), line });
    if (worker.log.length > MAX_LOG_LINES) worker.log.shift();
    const summary = `${this.release.endpoint.name}: worker ${worker.id} ${line}`;
    this.options.events.emit({ source: "worker", summary });
  }
}

import { randomUUID } from "node:crypto";
import { Signal } from "./signal";

/** States of a job (docs.runpod.io, job states). */
export type JobStatus = "IN_QUEUE" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "CANCELLED" | "TIMED_OUT";

/** Bounds of a job's life, in milliseconds. */
export interface JobPolicy {
  /** Of one execution. Default 600,000. */
  executionTimeout: number;
  /** From submission until the job is forgotten, whatever its state. Default 86,400,000. */
  ttl: number;
  /** True: the job waits for a worker instead of starting one. */
  lowPriority: boolean;
}

/** One job. Times are milliseconds since the epoch. */
export interface Job {
  id: string;
  input: unknown;
  policy: JobPolicy;
  /** Milliseconds its result is kept after the end. */
  retentionMs: number;
  /** Where its end is reported. */
  webhook?: string;
  status: JobStatus;
  queuedAt: number;
  submittedAt: number;
  startedAt?: number;
  finishedAt?: number;
  workerId?: string;
  output?: unknown;
  error?: string;
  /** Chunks that no `/stream` has read yet. */
  chunks: unknown[];
  streamed: boolean;
  /** How often it was queued again. */
  retries: number;
  /** How often a worker was lost with it since it was submitted or retried by hand. */
  losses: number;
}

/** What a worker may report as a job's end. */
export interface JobResult {
  output?: unknown;
  error?: unknown;
}

/** A moment of a job's life. */
export type JobMoment = "queued" | "taken" | "first text" | "ended";

/**
 * Results of `/run` are kept 30 minutes, those of `/runsync` one, or as long as its caller asked to wait (docs.runpod.io,
 * send requests).
 */
const RETENTION_MS = { run: 30 * 60_000, runsync: 60_000 } as const;

/** Requeued once when its worker is lost; RunPod then gives up with this text. */
const MAX_LOSSES = 1;
/** A worker whose pings do not name a job this long after it took it never began it (third parties saw 30 to 50 s). */
const ACKNOWLEDGE_MS = 30_000;
const LOST_WORKER_ERROR = "job timed out after 1 retries";

/** The queue of one endpoint and the jobs it remembers: a state machine without HTTP, processes or timers. */
export class JobQueue {
  /** Notified at every change of any job. */
  readonly changed = new Signal();
  private readonly jobs = new Map<string, Job>();
  private readonly stops = new Map<string, string[]>();
  private readonly totals = { completed: 0, failed: 0, retried: 0 };

  /**
   * @param onMoment told of each moment of each job
   * @param now milliseconds since the epoch
   */
  constructor(
    private readonly onMoment: (job: Job, moment: JobMoment) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Puts a job in the queue.
   *
   * @param what.askedWaitMs how long the caller of `/runsync` asked to wait for it
   */
  submit(what: { input: unknown; policy: JobPolicy; webhook?: string; sync: boolean; askedWaitMs?: number }): Job {
    const at = this.now();
    const job: Job = {
      id: `${what.sync ? "sync-" : ""}${randomUUID()}-u1`,
      input: what.input,
      policy: what.policy,
      ...(what.webhook && { webhook: what.webhook }),
      retentionMs: what.sync ? Math.max(RETENTION_MS.runsync, what.askedWaitMs ?? 0) : RETENTION_MS.run,
      status: "IN_QUEUE",
      queuedAt: at,
      submittedAt: at,
      chunks: [],
      streamed: false,
      retries: 0,
      losses: 0,
    };
    this.jobs.set(job.id, job);
    this.report(job, "queued");
    return job;
  }

  /** A job that is still remembered. */
  get(id: string): Job | undefined {
    this.sweep();
    return this.jobs.get(id);
  }

  /** Forgets a job this long from now, whatever its state (`/status?ttl=`). */
  forgetAfter(job: Job, ttlMs: number): void {
    job.policy = { ...job.policy, ttl: this.now() - job.submittedAt + ttlMs };
  }

  /** Hands the oldest queued jobs to a worker, at most `count`. */
  take(workerId: string, count: number): Job[] {
    this.sweep();
    const taken: Job[] = [];
    for (const job of this.queued()) {
      if (taken.length === count) break;
      Object.assign(job, { status: "IN_PROGRESS", startedAt: this.now(), workerId } satisfies Partial<Job>);
      // RunPod drops an empty input on the way, the SDK cannot accept such a job, and it is lost like this.
      if (isEmpty(job.input)) this.end(job, "FAILED", { error: LOST_WORKER_ERROR });
      else taken.push(job);
    }
    for (const job of taken) this.report(job, "taken");
    return taken;
  }

  /** Adds a chunk to a running job's stream. */
  chunk(id: string, output: unknown): void {
    const job = this.jobs.get(id);
    if (job?.status !== "IN_PROGRESS") return;
    const first = !job.streamed;
    job.chunks.push(output);
    job.streamed = true;
    if (first) this.report(job, "first text");
    else this.changed.notify();
  }

  /** Takes the chunks nobody has read yet. */
  drain(job: Job): unknown[] {
    return job.chunks.splice(0);
  }

  /** Notes a running job's progress; it never replaces a result. */
  progress(id: string, output: unknown): void {
    const job = this.jobs.get(id);
    if (job?.status !== "IN_PROGRESS") return;
    job.output = output;
    this.changed.notify();
  }

  /** Ends a running job with what its worker reports. A late or second report changes nothing. */
  done(id: string, result: JobResult): void {
    const job = this.jobs.get(id);
    if (job?.status === "IN_PROGRESS") this.end(job, result.error === undefined ? "COMPLETED" : "FAILED", result);
  }

  /** Cancels a job that has not ended. A running one is stopped on its worker. */
  cancel(job: Job): void {
    if (isFinal(job.status)) return;
    this.stop(job);
    this.end(job, "CANCELLED", {});
  }

  /** Queues a failed job again under the same id; false when it has not failed. */
  retry(job: Job): boolean {
    if (job.status !== "FAILED" && job.status !== "TIMED_OUT") return false;
    this.requeue(job, 0);
    return true;
  }

  /** Cancels every queued job and says how many there were. */
  purge(): number {
    const queued = this.queued();
    for (const job of queued) this.end(job, "CANCELLED", {});
    return queued.length;
  }

  /** Cancels every job: their endpoint is being deleted. */
  close(): void {
    for (const job of [...this.jobs.values()]) this.cancel(job);
  }

  /** A worker is gone: its jobs are queued once more, then fail. */
  workerLost(workerId: string): void {
    for (const job of this.running(workerId)) this.lost(job);
    this.stops.delete(workerId);
  }

  /** A worker says which jobs it is at: one that it took long ago and does not name is lost. */
  workerNames(workerId: string, jobIds: readonly string[]): void {
    const latest = this.now() - ACKNOWLEDGE_MS;
    for (const job of this.running(workerId))
      if ((job.startedAt ?? 0) < latest && !jobIds.includes(job.id)) this.lost(job);
  }

  /** Ids of the jobs a worker must stop, each told once. */
  takeStops(workerId: string): string[] | undefined {
    const ids = this.stops.get(workerId);
    this.stops.delete(workerId);
    return ids;
  }

  /** Jobs waiting for a worker, oldest first. */
  queued(): Job[] {
    return [...this.jobs.values()]
      .filter(({ status }) => status === "IN_QUEUE")
      .sort((a, b) => a.queuedAt - b.queuedAt);
  }

  /** Jobs on workers, or on one worker. */
  running(workerId?: string): Job[] {
    return [...this.jobs.values()].filter(
      (job) => job.status === "IN_PROGRESS" && (workerId === undefined || job.workerId === workerId),
    );
  }

  /** The `jobs` part of `/health`. */
  counts() {
    return { ...this.totals, inProgress: this.running().length, inQueue: this.queued().length };
  }

  /** Ends what has run too long and forgets what has been kept long enough. */
  sweep(): void {
    const now = this.now();
    for (const job of this.jobs.values()) {
      const expired = now >= job.submittedAt + job.policy.ttl;
      if (job.status === "IN_PROGRESS" && (expired || now >= (job.startedAt ?? now) + job.policy.executionTimeout)) {
        this.stop(job);
        this.end(job, "TIMED_OUT", { error: "executionTimeout exceeded" });
      }
      if (expired || now >= (job.finishedAt ?? Number.POSITIVE_INFINITY) + job.retentionMs) this.jobs.delete(job.id);
    }
  }

  private stop(job: Job): void {
    if (job.status !== "IN_PROGRESS" || !job.workerId) return;
    this.stops.set(job.workerId, [...(this.stops.get(job.workerId) ?? []), job.id]);
  }

  private lost(job: Job): void {
    if (job.losses < MAX_LOSSES) this.requeue(job, job.losses + 1);
    else this.end(job, "FAILED", { error: LOST_WORKER_ERROR });
  }

  private requeue(job: Job, losses: number): void {
    const { output, error, startedAt, finishedAt, workerId, ...rest } = job;
    const again: Job = {
      ...rest,
      losses,
      status: "IN_QUEUE",
      queuedAt: this.now(),
      retries: job.retries + 1,
      chunks: [],
      streamed: false,
    };
    this.jobs.set(job.id, again);
    this.totals.retried += 1;
    this.report(again, "queued");
  }

  private end(job: Job, status: JobStatus, { output, error }: JobResult): void {
    job.status = status;
    job.finishedAt = this.now();
    if (output !== undefined) job.output = output;
    if (error !== undefined) job.error = typeof error === "string" ? error : JSON.stringify(error);
    if (status === "COMPLETED") this.totals.completed += 1;
    if (status === "FAILED" || status === "TIMED_OUT") this.totals.failed += 1;
    this.report(job, "ended");
  }

  private report(job: Job, moment: JobMoment): void {
    this.onMoment(job, moment);
    this.changed.notify();
  }
}

/** True for a state a job does not leave by itself. */
export function isFinal(status: JobStatus): boolean {
  return status !== "IN_QUEUE" && status !== "IN_PROGRESS";
}

/** A job as `/status`, `/runsync` and webhooks show it. Times are milliseconds. */
export function jobView(job: Job): Record<string, unknown> {
  const { id, status, startedAt, finishedAt, workerId, output, error, retries } = job;
  return {
    ...(startedAt !== undefined && { delayTime: startedAt - job.queuedAt }),
    ...(startedAt !== undefined && finishedAt !== undefined && { executionTime: finishedAt - startedAt }),
    ...(error !== undefined && { error }),
    id,
    ...(output !== undefined && { output }),
    ...(status === "FAILED" && { retries }),
    status,
    ...(workerId !== undefined && { workerId }),
  };
}

function isEmpty(input: unknown): boolean {
  return typeof input === "object" && input !== null && Object.keys(input).length === 0;
}

import { randomUUID } from "node:crypto";
import { ChangeNotifier } from "./changeNotifier";

/** Status of a job (docs.runpod.io, job states). */
export type JobStatus = "IN_QUEUE" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "CANCELLED" | "TIMED_OUT";

/** Time limits and priority of a job. */
export interface JobPolicy {
  /** Milliseconds that one execution may take. */
  executionTimeout: number;
  /** Milliseconds from submission until the job is deleted, in any status. */
  ttl: number;
  /** Whether the job waits for a running worker. No new worker is started for such a job. */
  lowPriority: boolean;
}

/** A job. Times are milliseconds since the epoch. */
export interface Job {
  id: string;
  input: unknown;
  policy: JobPolicy;
  /** Milliseconds for which the result is kept after the job has ended. */
  retentionMs: number;
  /** URL that is called when the job has ended. */
  webhook?: string;
  status: JobStatus;
  queuedAt: number;
  submittedAt: number;
  startedAt?: number;
  finishedAt?: number;
  workerId?: string;
  output?: unknown;
  error?: string;
  /** Stream chunks that no client has read yet. */
  chunks: unknown[];
  /** Whether a worker has sent a chunk. */
  streamed: boolean;
  /** Number of times the job was queued again. */
  retries: number;
  /** Number of workers that this job has lost since its submission or newest `/retry`. */
  losses: number;
}

/** A worker's report of a job's end. */
export interface JobResult {
  output?: unknown;
  error?: unknown;
}

/** Event of a job. */
export type JobEvent = "queued" | "taken" | "first text" | "ended";

/**
 * Milliseconds for which results are kept (docs.runpod.io, send requests). A result of `/runsync` is kept longer if its
 * caller waits longer.
 */
const RETENTION_MS = { run: 30 * 60_000, runsync: 60_000 } as const;

/** After the loss of a job's worker, RunPod queues the job again, but only once. */
const MAX_LOSSES = 1;
/**
 * A worker's ping must contain the ids of all jobs of the worker. A job that has run for longer than this time is lost
 * when a ping omits its id. Third parties observed 30 to 50 s.
 */
const ACKNOWLEDGE_MS = 30_000;
/** RunPod's error text for a job that lost its worker twice. */
const LOST_WORKER_ERROR = "job timed out after 1 retries";

/** Jobs of one endpoint, as a state machine without HTTP, processes or timers. */
export class JobQueue {
  /** Notified after every change of any job. */
  readonly changed = new ChangeNotifier();
  private readonly jobs = new Map<string, Job>();
  /** Ids of the jobs that each worker must stop. The key is the worker's id. */
  private readonly stopRequests = new Map<string, string[]>();
  private readonly totals = { completed: 0, failed: 0, retried: 0 };

  /**
   * @param onEvent called for each event of each job
   * @param now returns milliseconds since the epoch
   */
  constructor(
    private readonly onEvent: (job: Job, event: JobEvent) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Puts a job in the queue.
   *
   * @param submission.sync whether the job comes from `/runsync`
   * @param submission.waitMs how long the caller of `/runsync` wants to wait
   */
  submit(submission: { input: unknown; policy: JobPolicy; webhook?: string; sync: boolean; waitMs?: number }): Job {
    const { input, policy, webhook, sync, waitMs = 0 } = submission;
    const at = this.now();
    const job: Job = {
      id: `${sync ? "sync-" : ""}${randomUUID()}-u1`,
      input,
      policy,
      ...(webhook && { webhook }),
      retentionMs: sync ? Math.max(RETENTION_MS.runsync, waitMs) : RETENTION_MS.run,
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

  /** Returns the job, or undefined when it is unknown or deleted. */
  get(id: string): Job | undefined {
    this.sweep();
    return this.jobs.get(id);
  }

  /** Makes a job expire `ttlMs` from now, in any status (`/status?ttl=`). */
  deleteAfter(job: Job, ttlMs: number): void {
    job.policy = { ...job.policy, ttl: this.now() - job.submittedAt + ttlMs };
  }

  /** Assigns the oldest queued jobs to a worker, at most `count`. */
  take(workerId: string, count: number): Job[] {
    this.sweep();
    const taken: Job[] = [];
    for (const job of this.queued()) {
      if (taken.length === count) break;
      Object.assign(job, { status: "IN_PROGRESS", startedAt: this.now(), workerId } satisfies Partial<Job>);
      // RunPod drops an empty input, and the SDK does not accept a job without input. So the job fails as if its worker
      // were lost.
      if (isEmpty(job.input)) this.end(job, "FAILED", { error: LOST_WORKER_ERROR });
      else taken.push(job);
    }
    for (const job of taken) this.report(job, "taken");
    return taken;
  }

  /** Adds a chunk to a running job's stream. */
  addChunk(id: string, output: unknown): void {
    const job = this.jobs.get(id);
    if (job?.status !== "IN_PROGRESS") return;
    const isFirst = !job.streamed;
    job.chunks.push(output);
    job.streamed = true;
    if (isFirst) this.report(job, "first text");
    else this.changed.notify();
  }

  /** Removes and returns the unread chunks. */
  takeChunks(job: Job): unknown[] {
    return job.chunks.splice(0);
  }

  /** Stores a running job's progress as its output. A job that has ended keeps its result. */
  setProgress(id: string, output: unknown): void {
    const job = this.jobs.get(id);
    if (job?.status !== "IN_PROGRESS") return;
    job.output = output;
    this.changed.notify();
  }

  /** Ends a running job with its worker's report. A report for an ended job changes nothing. */
  finish(id: string, result: JobResult): void {
    const job = this.jobs.get(id);
    if (job?.status === "IN_PROGRESS") this.end(job, result.error === undefined ? "COMPLETED" : "FAILED", result);
  }

  /** Cancels a job that has not ended. A worker that runs the job must stop it. */
  cancel(job: Job): void {
    if (isFinal(job.status)) return;
    this.stop(job);
    this.end(job, "CANCELLED", {});
  }

  /** Queues a failed job again under the same id. Returns false when the job has not failed. */
  retry(job: Job): boolean {
    if (job.status !== "FAILED" && job.status !== "TIMED_OUT") return false;
    this.requeue(job, 0);
    return true;
  }

  /** Cancels every queued job and returns their number. */
  purge(): number {
    const queued = this.queued();
    for (const job of queued) this.end(job, "CANCELLED", {});
    return queued.length;
  }

  /** Cancels every job. Called when the endpoint is deleted. */
  close(): void {
    for (const job of [...this.jobs.values()]) this.cancel(job);
  }

  /**
   * Called when a worker has ended. Queues the worker's running jobs again, but fails a job that loses a worker for the
   * second time.
   */
  workerLost(workerId: string): void {
    for (const job of this.running(workerId)) this.requeueOrFail(job);
    this.stopRequests.delete(workerId);
  }

  /**
   * Compares the job ids in a worker's ping with the worker's jobs. A job that has run for longer than `ACKNOWLEDGE_MS`
   * is lost when the ping omits its id.
   */
  workerPinged(workerId: string, jobIds: readonly string[]): void {
    const latest = this.now() - ACKNOWLEDGE_MS;
    for (const job of this.running(workerId))
      if ((job.startedAt ?? 0) < latest && !jobIds.includes(job.id)) this.requeueOrFail(job);
  }

  /** Removes and returns the ids of the jobs that a worker must stop. */
  takeStopRequests(workerId: string): string[] | undefined {
    const ids = this.stopRequests.get(workerId);
    this.stopRequests.delete(workerId);
    return ids;
  }

  /** Jobs waiting for a worker, oldest first. */
  queued(): Job[] {
    return [...this.jobs.values()]
      .filter(({ status }) => status === "IN_QUEUE")
      .sort((a, b) => a.queuedAt - b.queuedAt);
  }

  /** Running jobs of all workers, or of one worker. */
  running(workerId?: string): Job[] {
    return [...this.jobs.values()].filter(
      (job) => job.status === "IN_PROGRESS" && (workerId === undefined || job.workerId === workerId),
    );
  }

  /** The `jobs` part of `/health`. */
  counts() {
    return { ...this.totals, inProgress: this.running().length, inQueue: this.queued().length };
  }

  /** Times out jobs that run too long, and deletes expired jobs. */
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
    this.stopRequests.set(job.workerId, [...(this.stopRequests.get(job.workerId) ?? []), job.id]);
  }

  private requeueOrFail(job: Job): void {
    if (job.losses < MAX_LOSSES) this.requeue(job, job.losses + 1);
    else this.end(job, "FAILED", { error: LOST_WORKER_ERROR });
  }

  private requeue(job: Job, losses: number): void {
    const { output, error, startedAt, finishedAt, workerId, ...rest } = job;
    const requeued: Job = {
      ...rest,
      losses,
      status: "IN_QUEUE",
      queuedAt: this.now(),
      retries: job.retries + 1,
      chunks: [],
      streamed: false,
    };
    this.jobs.set(job.id, requeued);
    this.totals.retried += 1;
    this.report(requeued, "queued");
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

  private report(job: Job, event: JobEvent): void {
    this.onEvent(job, event);
    this.changed.notify();
  }
}

/** Whether a job with this status has ended. */
export function isFinal(status: JobStatus): boolean {
  return status !== "IN_QUEUE" && status !== "IN_PROGRESS";
}

/** JSON of a job for `/status`, `/runsync` and webhooks. Times are milliseconds. */
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

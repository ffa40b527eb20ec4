import type { Events } from "../../support/events";
import type { RunpodAccount } from "../account/account";
import type { Clock } from "../account/clock";
import { pullError, type RegistryImage } from "../account/imagePull";
import type { Switches } from "../account/switches";
import { type Job, type JobEvent, JobQueue } from "../jobs/jobQueue";
import { sendWebhook } from "../jobs/webhook";
import { Fleet, type Release, type WorkerView } from "../workers/fleet";
import type { WorkerLauncher } from "../workers/worker";

/** Dependencies and options of all endpoints. */
export interface EndpointsOptions {
  account: RunpodAccount;
  launch: WorkerLauncher;
  resolveImage(imageName: string): RegistryImage | undefined;
  switches: Switches;
  clock: Clock;
  /** Whether a release starts one worker before the first job. */
  startOnRelease: boolean;
  /** Pause between two calls of a job's webhook, in milliseconds. */
  webhookRetryDelayMs: number;
  events: Events;
}

/** Running endpoint: its job queue and its workers. */
export class EndpointRuntime {
  readonly queue: JobQueue;
  readonly fleet: Fleet;

  constructor(
    private release: Release,
    private readonly options: EndpointsOptions,
    private readonly closing: AbortSignal,
  ) {
    const { account, switches, resolveImage, clock } = options;
    this.queue = new JobQueue((job, event) => this.onJob(job, event), clock.now);
    this.fleet = new Fleet(release, {
      ...options,
      queue: this.queue,
      pullError: (template) => pullError(template, resolveImage(template.imageName ?? ""), account, switches),
    });
  }

  /** `QB` or `LB`. */
  get type(): string {
    return this.release.endpoint.type;
  }

  get name(): string {
    return this.release.endpoint.name;
  }

  /** Key that the endpoint's workers use. Secret. */
  get aiKey(): string {
    return this.release.endpoint.aiKey;
  }

  /** Default time limit of one execution. 0: no limit. */
  get executionTimeoutMs(): number {
    return this.release.endpoint.executionTimeoutMs;
  }

  /** Updates the running endpoint after a change in the account. */
  apply(release: Release): void {
    this.release = release;
    this.fleet.apply(release);
  }

  /** Cancels the endpoint's jobs and stops its workers. Called when the endpoint is deleted. */
  async close(): Promise<void> {
    this.queue.close();
    await this.fleet.close();
  }

  private onJob(job: Job, event: JobEvent): void {
    const { account, clock } = this.options;
    if (event === "queued") account.noteRequest(this.release.endpoint.id);
    this.fleet.onJob(job, event);
    const durationMs = event === "queued" ? undefined : (job.finishedAt ?? clock.now()) - job.queuedAt;
    this.options.events.emit({
      source: "runpod",
      summary: `${this.name}: job ${job.id.slice(0, 13)} ${event === "ended" ? job.status : event}`,
      ...(durationMs !== undefined && { durationMs }),
    });
    if (event === "ended" && job.webhook)
      void sendWebhook(job.webhook, job, {
        events: this.options.events,
        retryDelayMs: this.options.webhookRetryDelayMs,
        closing: this.closing,
      });
  }
}

/** Workers and jobs of a running endpoint. */
export interface EndpointOverview {
  name: string;
  workers: Pick<WorkerView, "id" | "status">[];
  jobs: ReturnType<JobQueue["counts"]>;
}

/** Running endpoints of the account. */
export class Endpoints {
  private readonly runtimes = new Map<string, EndpointRuntime>();
  private readonly closing = new AbortController();
  private readonly ticking: NodeJS.Timeout;

  constructor(private readonly options: EndpointsOptions) {
    this.ticking = setInterval(() => this.tick(), 500);
  }

  /** Makes every endpoint react to changes of clock and switches. A timer calls this method twice a second. */
  tick(): void {
    for (const { fleet, queue } of this.runtimes.values()) {
      fleet.tick();
      queue.changed.notify();
    }
  }

  /** Workers and jobs of every running endpoint. */
  overview(): EndpointOverview[] {
    return [...this.runtimes.values()].map(({ name, fleet, queue }) => ({
      name,
      workers: fleet.list().map(({ id, status }) => ({ id, status })),
      jobs: queue.counts(),
    }));
  }

  /** The running endpoint, undefined for an unknown id. */
  find(id: string): EndpointRuntime | undefined {
    return this.runtimes.get(id);
  }

  /**
   * Starts, updates and stops endpoints to match the account. Called at start and after every change of the account.
   */
  reconcile(): void {
    const { account } = this.options;
    for (const endpoint of account.endpoints) {
      const template = account.template(endpoint.templateId);
      if (!template) throw new Error(`Endpoint ${endpoint.id} refers to the missing template ${endpoint.templateId}`);
      const runtime =
        this.runtimes.get(endpoint.id) ??
        new EndpointRuntime({ endpoint, template }, this.options, this.closing.signal);
      this.runtimes.set(endpoint.id, runtime);
      runtime.apply({ endpoint, template });
    }
    for (const [id, runtime] of this.runtimes) {
      if (account.endpoint(id)) continue;
      this.runtimes.delete(id);
      void runtime.close();
    }
  }

  /** Stops every worker. */
  async close(): Promise<void> {
    clearInterval(this.ticking);
    this.closing.abort();
    await Promise.all([...this.runtimes.values()].map(({ fleet }) => fleet.close()));
  }
}

import type { Events } from "../events";
import type { RunpodAccount } from "./account";
import { type Job, type JobMoment, JobQueue } from "./jobs";
import { reportToWebhook } from "./webhooks";
import { Fleet, type Release, type WorkerLauncher } from "./workers";

/** What every endpoint needs from outside. */
export interface EndpointsOptions {
  account: RunpodAccount;
  launch: WorkerLauncher;
  resolveImage(imageName: string): { version: string } | undefined;
  events: Events;
}

/** An endpoint at work: its queue and its workers. */
export class EndpointRuntime {
  readonly queue: JobQueue;
  readonly fleet: Fleet;

  constructor(
    private release: Release,
    private readonly options: EndpointsOptions,
    private readonly closing: AbortSignal,
  ) {
    this.queue = new JobQueue((job, moment) => this.onJob(job, moment));
    this.fleet = new Fleet(release, { ...options, queue: this.queue });
  }

  get name(): string {
    return this.release.endpoint.name;
  }

  /** What its workers present. Secret. */
  get aiKey(): string {
    return this.release.endpoint.aiKey;
  }

  /** Default limit of one execution; 0 is none. */
  get executionTimeoutMs(): number {
    return this.release.endpoint.executionTimeoutMs;
  }

  /** Takes over what the account says now. */
  apply(release: Release): void {
    this.release = release;
    this.fleet.apply(release);
  }

  private onJob(job: Job, moment: JobMoment): void {
    this.fleet.onJob(job, moment);
    const durationMs = moment === "queued" ? undefined : (job.finishedAt ?? Date.now()) - job.queuedAt;
    this.options.events.emit({
      source: "runpod",
      summary: `${this.name}: job ${job.id.slice(0, 13)} ${moment === "ended" ? job.status : moment}`,
      ...(durationMs !== undefined && { durationMs }),
    });
    if (moment === "ended" && job.webhook) void reportToWebhook(job.webhook, job, this.options.events, this.closing);
  }
}

/** Every endpoint of the account at work. */
export class Endpoints {
  private readonly runtimes = new Map<string, EndpointRuntime>();
  private readonly closing = new AbortController();
  private readonly ticking: NodeJS.Timeout;

  constructor(private readonly options: EndpointsOptions) {
    this.ticking = setInterval(() => {
      for (const { fleet } of this.runtimes.values()) fleet.tick();
    }, 500);
  }

  /** An endpoint that exists. */
  find(id: string): EndpointRuntime | undefined {
    return this.runtimes.get(id);
  }

  /** Makes what runs match the account. Called at the start and after every change of the account. */
  reconcile(): void {
    const { account } = this.options;
    for (const endpoint of account.endpoints) {
      const template = account.template(endpoint.templateId);
      if (!template) throw new Error(`Endpoint ${endpoint.id} has lost its template ${endpoint.templateId}`);
      const runtime =
        this.runtimes.get(endpoint.id) ??
        new EndpointRuntime({ endpoint, template }, this.options, this.closing.signal);
      this.runtimes.set(endpoint.id, runtime);
      runtime.apply({ endpoint, template });
    }
    for (const [id, runtime] of this.runtimes) {
      if (account.endpoint(id)) continue;
      this.runtimes.delete(id);
      void runtime.fleet.close();
    }
  }

  /** Stops every worker. */
  async close(): Promise<void> {
    clearInterval(this.ticking);
    this.closing.abort();
    await Promise.all([...this.runtimes.values()].map(({ fleet }) => fleet.close()));
  }
}

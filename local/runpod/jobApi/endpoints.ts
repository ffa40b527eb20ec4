import type { Events } from "../../support/events";
import type { RunpodAccount } from "../account/account";
import type { Clock } from "../account/clock";
import { pullProblem, type RegistryImage } from "../account/pull";
import type { Switches } from "../account/switches";
import { type Job, type JobMoment, JobQueue } from "../jobs/jobs";
import { reportToWebhook } from "../jobs/webhooks";
import { Fleet, type Release, type WorkerLauncher } from "../workers/workers";

/** What every endpoint needs from outside. */
export interface EndpointsOptions {
  account: RunpodAccount;
  launch: WorkerLauncher;
  resolveImage(imageName: string): RegistryImage | undefined;
  switches: Switches;
  clock: Clock;
  /** Whether a release starts a worker before there is a job. */
  startsAtOnce: boolean;
  /** Between two tries of a webhook. */
  webhookPauseMs: number;
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
    const { account, switches, resolveImage, clock } = options;
    this.queue = new JobQueue((job, moment) => this.onJob(job, moment), clock.now);
    this.fleet = new Fleet(release, {
      ...options,
      queue: this.queue,
      pullProblem: (template) => pullProblem(template, resolveImage(template.imageName ?? ""), account, switches),
    });
  }

  /** `QB` or `LB`. */
  get type(): string {
    return this.release.endpoint.type;
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

  /** It is deleted: its jobs are cancelled and its workers stopped. */
  async close(): Promise<void> {
    this.queue.close();
    await this.fleet.close();
  }

  private onJob(job: Job, moment: JobMoment): void {
    const { account, clock } = this.options;
    if (moment === "queued") account.noteRequest(this.release.endpoint.id);
    this.fleet.onJob(job, moment);
    const durationMs = moment === "queued" ? undefined : (job.finishedAt ?? clock.now()) - job.queuedAt;
    this.options.events.emit({
      source: "runpod",
      summary: `${this.name}: job ${job.id.slice(0, 13)} ${moment === "ended" ? job.status : moment}`,
      ...(durationMs !== undefined && { durationMs }),
    });
    if (moment === "ended" && job.webhook)
      void reportToWebhook(job.webhook, job, {
        events: this.options.events,
        pauseMs: this.options.webhookPauseMs,
        closing: this.closing,
      });
  }
}

/** Every endpoint of the account at work. */
export class Endpoints {
  private readonly runtimes = new Map<string, EndpointRuntime>();
  private readonly closing = new AbortController();
  private readonly ticking: NodeJS.Timeout;

  constructor(private readonly options: EndpointsOptions) {
    this.ticking = setInterval(() => this.tick(), 500);
  }

  /** Lets every endpoint look at the clock and the switches. Happens by itself about twice a second. */
  tick(): void {
    for (const { fleet, queue } of this.runtimes.values()) {
      fleet.tick();
      queue.changed.notify();
    }
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

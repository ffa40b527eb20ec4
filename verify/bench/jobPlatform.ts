import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Time limit of a worker's request for jobs. The platform holds the request while the queue is empty. */
const TAKE_WAIT_MS = 20_000;

interface Report {
  output?: { delta?: string; usage?: { completion_tokens: number } };
  error?: string;
}

/** Data that the worker has sent for one job so far. */
export interface JobReport {
  /** `performance.now()` when the first item arrived. */
  firstItemAt: number;
  /** Number of requests that the worker made for the job, including the request with the result. */
  posts: number;
  /** Joined text of the deltas. */
  text: string;
  /** Completion tokens, counted by the worker. */
  completionTokens: number;
  /** Error of a failed job, as JSON text. */
  error?: string;
}

interface QueuedJob {
  id: string;
  /** JSON of the job. */
  body: string;
}

/**
 * RunPod's side of the worker protocol for one worker. It answers every request immediately, so that a measurement
 * contains only the worker's own time.
 */
export class JobPlatform {
  private readonly server = createServer((request, response) => void this.answer(request, response));
  private readonly queue: QueuedJob[] = [];
  private readonly running = new Map<string, { report: JobReport; finish(report: JobReport): void }>();
  /** Requests of the worker that wait for a job, oldest first. */
  private readonly waitingTakes: ServerResponse[] = [];
  private count = 0;

  /**
   * Starts the server.
   *
   * @returns the base URL of the job API, for `platformEnvironment`
   */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v2`;
  }

  /** Queues a job for the worker and waits until the job is done. */
  run(input: unknown): Promise<JobReport> {
    return this.runJson(JSON.stringify(input));
  }

  /** Queues a job whose input is JSON text, and waits until the job is done. */
  runJson(input: string): Promise<JobReport> {
    const id = `job-${++this.count}`;
    return new Promise((finish) => {
      this.running.set(id, { report: { firstItemAt: 0, posts: 0, text: "", completionTokens: 0 }, finish });
      this.queue.push({ id, body: `{"id":"${id}","input":${input}}` });
      this.giveJobs();
    });
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://platform");
    const [, , , route = "", , jobId = ""] = url.pathname.split("/");
    if (route === "job-take") this.take(response);
    else if (route === "job-stop") setTimeout(() => response.writeHead(204).end(), TAKE_WAIT_MS).unref();
    else if (route === "job-stream" || route === "job-done") {
      const body = await readJson(request);
      response.end("{}");
      this.report(jobId, route, body);
    } else response.end("{}");
  }

  private take(response: ServerResponse): void {
    this.waitingTakes.push(response);
    const end = setTimeout(() => {
      this.forget(response);
      response.writeHead(204).end();
    }, TAKE_WAIT_MS).unref();
    response.once("close", () => {
      clearTimeout(end);
      this.forget(response);
    });
    this.giveJobs();
  }

  private forget(response: ServerResponse): void {
    const at = this.waitingTakes.indexOf(response);
    if (at >= 0) this.waitingTakes.splice(at, 1);
  }

  private giveJobs(): void {
    while (this.queue.length > 0 && this.waitingTakes.length > 0) {
      const response = this.waitingTakes.shift();
      response?.setHeader("content-type", "application/json");
      response?.end(this.queue.shift()?.body);
    }
  }

  private report(id: string, route: string, { output, error }: Report): void {
    const job = this.running.get(id);
    if (!job) return;
    const { report, finish } = job;
    report.posts += 1;
    if (route === "job-stream") {
      report.firstItemAt ||= performance.now();
      report.text += output?.delta ?? "";
      report.completionTokens = output?.usage?.completion_tokens ?? 0;
      return;
    }
    this.running.delete(id);
    finish({ ...report, ...(error !== undefined && { error }) });
  }
}

async function readJson(request: IncomingMessage) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

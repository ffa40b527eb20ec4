import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type RunpodDouble, type RunpodOptions, startRunpod } from "../../../local/runpod/server";
import type { RunningWorker } from "../../../local/runpod/workers/worker";
import { Events } from "../../../local/support/events";

export const ACCOUNT_KEY = "account-key";
export const PHI3_KEY = "phi3-only-key";

/** Worker that a test controls. It calls the job API over HTTP, like RunPod's SDK. */
export class FakeWorker implements RunningWorker {
  readonly exited: Promise<string | undefined>;
  stopRequested = false;
  private exit: (reason?: string) => void = () => undefined;

  constructor(readonly env: Record<string, string>) {
    this.exited = new Promise((resolve) => {
      this.exit = resolve;
    });
  }

  async stop(): Promise<void> {
    this.stopRequested = true;
    this.exit();
  }

  crash(reason: string): void {
    this.exit(reason);
  }

  /** Asks for up to `count` jobs. Returns an empty list for a response with status 204. */
  async take(count = 1, signal?: AbortSignal): Promise<{ id: string; input: unknown }[]> {
    const url = this.url("RUNPOD_WEBHOOK_GET_JOB", this.env.RUNPOD_POD_ID);
    const batch = count > 1 ? `${url.replace("/job-take/", "/job-take-batch/")}&batch_size=${count}` : url;
    const response = await this.request(`${batch}&job_in_progress=0`, signal && { signal });
    if (response.status === 204) return [];
    expect(response.status).toBe(200);
    const jobs = await response.json();
    return Array.isArray(jobs) ? jobs : [jobs];
  }

  /**
   * Takes one job.
   *
   * @throws Error when no job is queued
   */
  async next(): Promise<{ id: string; input: unknown }> {
    const [job] = await this.take();
    if (!job) throw new Error("There is no job");
    return job;
  }

  /** Asks for the ids of jobs to stop. */
  async jobsToStop(): Promise<string[]> {
    const url = this.url("RUNPOD_WEBHOOK_GET_JOB", this.env.RUNPOD_POD_ID).replace("/job-take/", "/job-stop/");
    const response = await this.request(url);
    return response.status === 204 ? [] : ((await response.json()) as { jobsToStop: string[] }).jobsToStop;
  }

  /** Sends a ping with the ids of its jobs, like the SDK's ping process. */
  async ping(jobIds: string[]): Promise<number> {
    const query = `runpod_version=1.12.0${jobIds.length > 0 ? `&job_id=${jobIds.join(",")}` : ""}`;
    return (await this.request(`${this.url("RUNPOD_WEBHOOK_PING")}?${query}`)).status;
  }

  async stream(jobId: string, output: unknown): Promise<number> {
    return (await this.post(`${this.url("RUNPOD_WEBHOOK_POST_STREAM", jobId)}&isStream=false`, { output })).status;
  }

  async done(jobId: string, body: unknown): Promise<number> {
    return (await this.post(`${this.url("RUNPOD_WEBHOOK_POST_OUTPUT", jobId)}&isStream=true`, body)).status;
  }

  private url(name: string, id = ""): string {
    return (this.env[name] ?? "").replace("$RUNPOD_POD_ID", this.env.RUNPOD_POD_ID ?? "").replace("$ID", id);
  }

  private post(url: string, body: unknown): Promise<Response> {
    // The SDK sends JSON with this content type.
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return this.request(url, { method: "POST", headers, body: JSON.stringify(body) });
  }

  private request(url: string, init: RequestInit = {}): Promise<Response> {
    return fetch(url, { ...init, headers: { ...init.headers, authorization: this.env.RUNPOD_AI_API_KEY ?? "" } });
  }
}

/** Whether a process runs. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** RunPod double with workers that the test controls. */
export class RunpodFixture {
  readonly workers: FakeWorker[] = [];
  /** Summaries of all events. */
  readonly events: string[] = [];
  readonly dir = mkdtempSync(join(tmpdir(), "snack-runpod-"));
  private running: RunpodDouble | undefined;

  async start(options: Partial<RunpodOptions> = {}): Promise<RunpodDouble> {
    const events = new Events();
    events.subscribe(({ summary }) => this.events.push(summary));
    this.running = await startRunpod({
      port: 0,
      dir: this.dir,
      keys: [
        { key: ACCOUNT_KEY, scope: "account" },
        { key: PHI3_KEY, scope: { endpointNames: ["phi3"] } },
      ],
      engineUrl: "http://127.0.0.1:9/v1",
      python: undefined,
      resolveImage: (image) => (image.includes("missing") ? undefined : { version: image.split(":")[1] ?? "" }),
      ...(options.python === undefined && { startWorker: (env) => this.startFake(env) }),
      events,
      ...options,
    });
    return this.running;
  }

  private startFake(env: Record<string, string>): FakeWorker {
    const worker = new FakeWorker(env);
    this.workers.push(worker);
    return worker;
  }

  /** Stops the double. The account's file stays for the next start. */
  async close(): Promise<void> {
    await this.running?.close();
    this.running = undefined;
  }

  /** Stops the double and deletes its folder. */
  async dispose(): Promise<void> {
    await this.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  get double(): RunpodDouble {
    if (!this.running) throw new Error("The double is not running");
    return this.running;
  }

  get jobApiUrl(): string {
    return this.double.jobApiUrl;
  }

  /** The newest worker. */
  get worker(): FakeWorker {
    const worker = this.workers.at(-1);
    if (!worker) throw new Error("No worker was started");
    return worker;
  }

  /** Posts a GraphQL request. */
  post(body: unknown, key: string | undefined = ACCOUNT_KEY): Promise<Response> {
    const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
    return fetch(this.double.graphqlUrl, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** Runs a GraphQL document that must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: the type depends on the document.
  async graphql(query: string, variables: object = {}): Promise<any> {
    const body = (await (await this.post({ query, variables })).json()) as { data: unknown; errors?: unknown };
    expect(body.errors).toBeUndefined();
    return body.data;
  }

  /** Runs a GraphQL document that one of RunPod's rules must refuse. Returns the first error message. */
  async refusal(query: string, variables: object = {}): Promise<string> {
    const response = await this.post({ query, variables });
    expect(response.status).toBe(200);
    const body = (await response.json()) as { errors?: { message: string; extensions: { code: string } }[] };
    expect(body.errors?.[0]?.extensions.code).toBe("RUNPOD");
    return body.errors?.[0]?.message ?? "";
  }

  /** Calls REST v2. `call` is the method and the path, such as `GET /templates`. */
  rest(call: string, body?: unknown, key: string | undefined = `Bearer ${ACCOUNT_KEY}`): Promise<Response> {
    const [method = "GET", path = ""] = call.split(" ");
    return fetch(`${this.double.restUrl}${path}`, {
      method,
      headers: { ...(key && { authorization: key }) },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  }

  /** Calls REST v2, checks the status and returns the body. */
  // biome-ignore lint/suspicious/noExplicitAny: the type depends on the call.
  async restJson(call: string, body?: unknown, status = call.startsWith("POST") ? 201 : 200): Promise<any> {
    const response = await this.rest(call, body);
    const text = await response.text();
    expect([response.status, text]).toEqual([status, text]);
    return JSON.parse(text);
  }

  /** Makes a call of REST v2 that must be refused. Returns status, detail and errors. */
  async restRefusal(call: string, body?: unknown): Promise<[number, string, string[]]> {
    const response = await this.rest(call, body);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const {
      status,
      detail,
      errors = [],
    } = (await response.json()) as {
      status: number;
      detail: string;
      errors?: string[];
    };
    expect(status).toBe(response.status);
    return [status, detail, errors];
  }

  async saveTemplate(input: object = {}): Promise<string> {
    return (await this.graphql(SAVE_TEMPLATE, { input: { ...templateInput, ...input } })).saveTemplate.id;
  }

  async saveEndpoint(input: object): Promise<{ id: string; version: number }> {
    return (await this.graphql(SAVE_ENDPOINT, { input: { ...endpointInput, ...input } })).saveEndpoint;
  }

  /** Creates a template, and an endpoint that uses the template. */
  async deploy(endpoint: object = {}, template: object = {}): Promise<{ id: string; templateId: string }> {
    const templateId = await this.saveTemplate(template);
    return { id: (await this.saveEndpoint({ templateId, ...endpoint })).id, templateId };
  }

  /** Calls the job API. */
  call(path: string, init: RequestInit = {}, key: string | undefined = ACCOUNT_KEY): Promise<Response> {
    return fetch(`${this.jobApiUrl}/${path}`, {
      ...init,
      headers: { ...init.headers, ...(key && { authorization: key }) },
    });
  }

  /** Calls the job API, with POST if there is a body. Returns the body of the answer, which must have status 200. */
  // biome-ignore lint/suspicious/noExplicitAny: the type depends on the call.
  async json(path: string, body?: unknown): Promise<any> {
    const response = await this.call(path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
    expect(response.status).toBe(200);
    return response.json();
  }
}

export const SAVE_TEMPLATE = "mutation ($input: SaveTemplateInput) { saveTemplate(input: $input) { id } }";
export const SAVE_ENDPOINT = "mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id version } }";

export const templateInput = {
  name: "phi3-template",
  imageName: "registry.example/phi3:1.0.0",
  containerDiskInGb: 20,
  volumeInGb: 0,
  dockerArgs: "",
  env: [{ key: "MODEL", value: "phi3" }],
  isServerless: true,
};

export const restEndpoint = {
  name: "phi3",
  type: "QUEUE",
  image: "registry.example/phi3:1.0.0",
  gpu: { pools: ["AMPERE_16"] },
  scaling: { type: "QUEUE_DELAY", queueDelay: 4 },
  workers: { min: 0, max: 2, idleTimeout: 60 },
  timeout: 600_000,
};

export const endpointInput = { name: "phi3", gpuIds: "AMPERE_16", workersMax: 2, idleTimeout: 60 };
